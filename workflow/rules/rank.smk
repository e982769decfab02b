# Transferability scores of features, and the resulting rankings of models and units per data set.


rule scores:
    input:
        train=rules.features.output.train,
        contents=contents_of_stores("scores"),
    output:
        table=f"{RESULTS}/scores/{{model}}/{{view}}.parquet",
    log:
        f"{LOGS}/scores/{{model}}/{{view}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        gpu=GPUS,
        mem_mb=memory_of("scores"),
        runtime=runtime_of("scores"),
    params:
        job=job_of("scores"),
    message:
        "Scoring {wildcards.model} on {wildcards.view} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/scores.py"


rule ranking:
    input:
        unpack(tables_of_ranking),
        contents=contents_of_stores("ranking"),
    output:
        ranking=f"{RESULTS}/rank/{{ranked}}.parquet",
        agreement=f"{RESULTS}/agreement/{{ranked}}.parquet",
    log:
        f"{LOGS}/ranking/{{ranked}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        job=job_of("ranking"),
    message:
        "Ranking models and units on {wildcards.ranked}"
    script:
        "../scripts/ranking.py"


rule rank:
    input:
        ranked_pictures,
    localrule: True
