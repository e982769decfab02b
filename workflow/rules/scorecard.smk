# The paper's claims, tested on the numbers behind figures and tables.


rule scorecard:
    input:
        unpack(inputs_of("scorecard")),
    output:
        html=f"{RESULTS}/scorecard.html",
        md=f"{RESULTS}/scorecard.md",
        csv=f"{RESULTS}/scorecard.csv",
        parts=f"{RESULTS}/scorecard-parts.csv",
    log:
        f"{LOGS}/scorecard.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=settings_of("scorecard"),
        recipe=recipe_of("scorecard"),
        made_by=made_by("scorecard"),
    message:
        "Testing the paper's claims"
    script:
        "../scripts/scorecard.py"
