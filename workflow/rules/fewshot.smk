# Few-shot episodes on the penultimate features of a model on a view.


rule fewshot:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
    output:
        table=f"{RESULTS}/fewshot/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/fewshot/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("fewshot"),
        runtime=runtime_of("fewshot"),
    params:
        job=job_of("fewshot"),
    message:
        "Few-shot episodes of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/fewshot.py"
