# Linear probes on frozen features, all units and settings of a model and view in one job.


rule probes:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
    output:
        manifest=f"{RESULTS}/probes/{{model}}/{{view}}/manifest.json",
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
        "Training probes on {wildcards.model} and {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/probes.py"
