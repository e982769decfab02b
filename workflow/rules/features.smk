# Features of all units, from one forward pass per model and view: of one job, or of several (`shards`), each of
# which passes a part of the batches, and one that joins their stores.


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
    wildcard_constraints:
        view=names(set(VIEW_KEYS) - set(SHARDED_VIEWS)),
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


rule features_shard:
    input:
        model=base_model(rules.model.output.manifest),
        tuned=tuning_run(rules.finetune.output.manifest),
        train=shown_images(rules.images.output.train),
        test=shown_images(rules.images.output.test),
        contents=contents_of_stores("features_shard"),
    output:
        train=temp(
            f"{RESULTS}/features_shards/{{model}}/{{view}}/{{shard}}/train/manifest.json"
        ),
        test=temp(
            f"{RESULTS}/features_shards/{{model}}/{{view}}/{{shard}}/test/manifest.json"
        ),
        train_arrays=temp(
            directory(
                f"{RESULTS}/features_shards/{{model}}/{{view}}/{{shard}}/train/arrays"
            )
        ),
        test_arrays=temp(
            directory(
                f"{RESULTS}/features_shards/{{model}}/{{view}}/{{shard}}/test/arrays"
            )
        ),
    log:
        f"{LOGS}/features_shard/{{model}}/{{view}}/{{shard}}.log",
    wildcard_constraints:
        view=names(SHARDED_VIEWS),
        shard=r"\d+",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("features_shard"),
        runtime=runtime_of("features_shard"),
    params:
        job=job_of("features_shard"),
    message:
        "Extracting shard {wildcards.shard} of the features of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/features_shard.py"


rule features_joined:
    input:
        unpack(shards_of_features),
        contents=contents_of_stores("features_joined"),
    output:
        train=f"{RESULTS}/features/{{model}}/{{view}}/train/manifest.json",
        test=f"{RESULTS}/features/{{model}}/{{view}}/test/manifest.json",
        train_arrays=directory(f"{RESULTS}/features/{{model}}/{{view}}/train/arrays"),
        test_arrays=directory(f"{RESULTS}/features/{{model}}/{{view}}/test/arrays"),
    log:
        f"{LOGS}/features_joined/{{model}}/{{view}}.log",
    wildcard_constraints:
        view=names(SHARDED_VIEWS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory_of("features_joined"),
        runtime=runtime_of("features_joined"),
    params:
        job=job_of("features_joined"),
    message:
        "Joining the features of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/features_joined.py"
