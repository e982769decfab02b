# Fine-tuning runs: what a method changed of a model on a data set, and what it reached.


rule finetune:
    input:
        unpack(inputs_of("finetune")),
    output:
        manifest=f"{RESULTS}/finetuning/{{run}}/manifest.json",
        weights=f"{RESULTS}/finetuning/{{run}}/tuned.safetensors",
        history=f"{RESULTS}/finetuning/{{run}}/history.parquet",
        accuracy=f"{RESULTS}/finetuning/{{run}}/accuracy.parquet",
    log:
        f"{LOGS}/finetune/{{run}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=1,
        mem_mb=MEMORY,
        runtime=RUNTIME,
    params:
        settings=settings_of("finetune"),
        recipe=recipe_of("finetune"),
        made_by=made_by("finetune"),
    message:
        "Fine-tuning {wildcards.run}"
    script:
        "../scripts/finetune.py"
