# Pre-trained models: trained here on a source data set, or fetched from where they are published; stored as
# weights and a list of units.


rule pretrain:
    input:
        train=source_images(rules.images.output.train),
        test=source_images(rules.images.output.test),
        contents=contents_of_stores("pretrain"),
    output:
        manifest=f"{RESULTS}/pretraining/{{model}}/manifest.json",
        arrays=directory(f"{RESULTS}/pretraining/{{model}}/arrays"),
        history=f"{RESULTS}/pretraining/{{model}}/history.parquet",
    log:
        f"{LOGS}/pretrain/{{model}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("pretrain"),
        runtime=runtime_of("pretrain"),
    params:
        job=job_of("pretrain"),
    message:
        "Pre-training {wildcards.model} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/pretrain.py"


rule model:
    input:
        checkpoint=training_or_file(rules.pretrain.output.manifest),
        contents=contents_of_stores("model"),
    output:
        manifest=f"{RESULTS}/models/{{model}}/manifest.json",
        arrays=directory(f"{RESULTS}/models/{{model}}/arrays"),
        units=f"{RESULTS}/models/{{model}}/units.csv",
    log:
        f"{LOGS}/model/{{model}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("model"),
        runtime=runtime_of("model"),
    params:
        job=job_of("model"),
    message:
        "Fetching {wildcards.model} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/model.py"


# Writes nothing, so it runs whenever it is requested.
rule models:
    log:
        f"{LOGS}/models.log",
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        mem_mb=500,
        runtime=5,
    params:
        job=job_of("models"),
    message:
        "Listing the models of the configuration"
    script:
        "../scripts/models.py"
