# Linear probes on frozen features; one job trains all units and settings of a model and view.


rule probes:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
        contents=contents_of_stores("probes"),
    output:
        manifest=f"{RESULTS}/probes/{{model}}/{{view}}/manifest.json",
        arrays=directory(f"{RESULTS}/probes/{{model}}/{{view}}/arrays"),
        accuracy=f"{RESULTS}/probes/{{model}}/{{view}}/accuracy.parquet",
    log:
        f"{LOGS}/probes/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("probes"),
        runtime=runtime_of("probes"),
    params:
        job=job_of("probes"),
    message:
        "Training probes of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/probes.py"
