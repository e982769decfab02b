# Pages about the run: provenance and an overview. The report page itself is Snakemake's:
# snakemake --report report.html


rule provenance:
    input:
        unpack(all_that_is_shown),
    output:
        html=report(
            f"{RESULTS}/provenance.html",
            caption="../report/provenance.rst",
            category=category("About this run"),
            labels={
                "Name": "Code, configuration, machines, times",
                "Form": "page (HTML)",
            },
        ),
        json=report(
            f"{RESULTS}/provenance.json",
            caption="../report/provenance.rst",
            category=category("About this run"),
            labels={
                "Name": "Code, configuration, machines, times",
                "Form": "records (JSON)",
            },
        ),
    log:
        f"{LOGS}/provenance.log",
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        job=job_of("provenance"),
    message:
        "Collecting provenance"
    script:
        "../scripts/provenance.py"


rule overview:
    input:
        unpack(all_that_is_shown),
    output:
        md=f"{RESULTS}/REPORT.md",
    log:
        f"{LOGS}/overview.log",
    localrule: True
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        job=job_of("overview"),
    message:
        "Listing all figures and tables"
    script:
        "../scripts/overview.py"
