# Fine-tuning runs: the tuned weights of a model on a data set, and their accuracy.


rule finetune:
    input:
        model=base_model(rules.model.output.manifest),
        train=downstream_images(rules.images.output.train),
        test=downstream_images(rules.images.output.test),
        checkpoint=weights_with_text_tower,
        contents=contents_of_stores("finetune"),
    output:
        manifest=f"{RESULTS}/finetuning/{{run}}/manifest.json",
        arrays=directory(f"{RESULTS}/finetuning/{{run}}/arrays"),
        history=f"{RESULTS}/finetuning/{{run}}/history.parquet",
        accuracy=f"{RESULTS}/finetuning/{{run}}/accuracy.parquet",
    log:
        f"{LOGS}/finetune/{{run}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("finetune"),
        runtime=runtime_of("finetune"),
    params:
        job=job_of("finetune"),
    message:
        "Fine-tuning {wildcards.run} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/finetune.py"
