# The paper's claims, tested on the numbers of figures and tables.


rule chance:
    input:
        unpack(numbers_of_claims),
    output:
        csv=f"{RESULTS}/scorecard-chance.csv",
        json=f"{RESULTS}/scorecard-chance.json",
    log:
        f"{LOGS}/scorecard-chance.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        job=job_of("chance"),
    message:
        "Testing the paper's claims on numbers dealt out at random"
    script:
        "../scripts/chance.py"


rule scorecard:
    input:
        unpack(numbers_of_scorecard),
    output:
        html=report(
            f"{RESULTS}/scorecard.html",
            caption="../report/scorecard.rst",
            category=category("Scorecard"),
            labels={"Name": "All claims with their verdicts", "Form": "page (HTML)"},
        ),
        md=f"{RESULTS}/scorecard.md",
        csv=report(
            f"{RESULTS}/scorecard.csv",
            caption="../report/scorecard.rst",
            category=category("Scorecard"),
            labels={"Name": "Claims as numbers", "Form": "numbers (CSV)"},
        ),
        parts=report(
            f"{RESULTS}/scorecard-parts.csv",
            caption="../report/scorecard.rst",
            category=category("Scorecard"),
            labels={"Name": "Every number behind a verdict", "Form": "numbers (CSV)"},
        ),
        json=f"{RESULTS}/scorecard.json",
    log:
        f"{LOGS}/scorecard.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=job_of("scorecard"),
    message:
        "Testing the paper's claims"
    script:
        "../scripts/scorecard.py"
