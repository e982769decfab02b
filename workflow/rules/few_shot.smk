# Few-shot episodes on the penultimate features of a model, per view.


rule few_shot:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
        contents=contents_of_stores("few_shot"),
    output:
        table=f"{RESULTS}/few_shot/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/few_shot/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("few_shot"),
        runtime=runtime_of("few_shot"),
    params:
        job=job_of("few_shot"),
    message:
        "Running few-shot episodes of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/few_shot.py"
