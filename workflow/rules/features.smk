# Features of all units, from one forward pass per model and view.


rule features:
    input:
        model=base_model(rules.model.output.manifest),
        tuned=tuning_run(rules.finetune.output.manifest),
        train=shown_images(rules.images.output.train),
        test=shown_images(rules.images.output.test),
        contents=contents_of_stores("features"),
    output:
        train=f"{RESULTS}/features/{{model}}/{{view}}/train/manifest.json",
        test=f"{RESULTS}/features/{{model}}/{{view}}/test/manifest.json",
        train_arrays=directory(f"{RESULTS}/features/{{model}}/{{view}}/train/arrays"),
        test_arrays=directory(f"{RESULTS}/features/{{model}}/{{view}}/test/arrays"),
    log:
        f"{LOGS}/features/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("features"),
        runtime=runtime_of("features"),
    params:
        job=job_of("features"),
    message:
        "Extracting features of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/features.py"
