# Linear probes on frozen features, all units and settings of a model and view in one job.


rule probes:
    input:
        unpack(inputs_of("probes")),
    output:
        manifest=f"{RESULTS}/probes/{{model}}/{{view}}/manifest.json",
        accuracy=f"{RESULTS}/probes/{{model}}/{{view}}/accuracy.parquet",
    log:
        f"{LOGS}/probes/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=1,
        mem_mb=MEMORY,
        runtime=RUNTIME,
    params:
        settings=settings_of("probes"),
        recipe=recipe_of("probes"),
        made_by=made_by("probes"),
    message:
        "Training probes on {wildcards.model} and {wildcards.view}"
    script:
        "../scripts/probes.py"
