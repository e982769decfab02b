# Neural-collapse metrics of features, and of classifiers on them.


rule metrics:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
        contents=contents_of_stores("metrics"),
    output:
        table=f"{RESULTS}/metrics/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/metrics/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("metrics"),
        runtime=runtime_of("metrics"),
    params:
        job=job_of("metrics"),
    message:
        "Measuring collapse of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/metrics.py"


rule classifier_metrics:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
        probes=rules.probes.output.manifest,
        contents=contents_of_stores("classifier_metrics"),
    output:
        table=f"{RESULTS}/classifier_metrics/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/classifier_metrics/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("classifier_metrics"),
        runtime=runtime_of("classifier_metrics"),
    params:
        job=job_of("classifier_metrics"),
    message:
        "Measuring alignment of the probes of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/classifier_metrics.py"


rule head_metrics:
    input:
        train=rules.features.output.train,
        test=rules.features.output.test,
        model=rules.model.output.manifest,
        contents=contents_of_stores("head_metrics"),
    output:
        table=f"{RESULTS}/head_metrics/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/head_metrics/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("head_metrics"),
        runtime=runtime_of("head_metrics"),
    params:
        job=job_of("head_metrics"),
    message:
        "Measuring alignment of the classifier of {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/head_metrics.py"


rule metrics_tables:
    input:
        collect(
            f"{RESULTS}/{{table}}/{{shown}}.parquet",
            table=["metrics", "classifier_metrics"],
            shown=SHOWN,
        ),
    localrule: True
