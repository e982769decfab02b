# Data sets, published or the user's own, to stores of uint8 images.


rule images:
    input:
        unpack(files_of_user),
    output:
        train=f"{RESULTS}/images/{{images}}/train/manifest.json",
        test=f"{RESULTS}/images/{{images}}/test/manifest.json",
        train_arrays=directory(f"{RESULTS}/images/{{images}}/train/arrays"),
        test_arrays=directory(f"{RESULTS}/images/{{images}}/test/arrays"),
    log:
        f"{LOGS}/images/{{images}}.log",
    conda:
        ENVIRONMENT
    threads: CPU_THREADS
    resources:
        mem_mb=memory_of("images"),
        runtime=runtime_of("images"),
    params:
        job=job_of("images"),
    message:
        "Decoding images of {wildcards.images} ({resources.mem_mb} MB, {resources.runtime} min)"
    script:
        "../scripts/images.py"
