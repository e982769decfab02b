# Figures and tables: pure functions of tidy tables and style.


rule figure:
    input:
        unpack(inputs_of("figure")),
    output:
        pdf=f"{FIGURES}/{{figure}}.pdf",
        png=f"{FIGURES}/{{figure}}.png",
        csv=f"{FIGURES}/{{figure}}.csv",
    log:
        f"{LOGS}/figure/{{figure}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=settings_of("figure"),
        recipe=recipe_of("figure"),
        made_by=made_by("figure"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/figure.py"


rule table:
    input:
        unpack(inputs_of("table")),
    output:
        csv=f"{TABLES}/{{table}}.csv",
        md=f"{TABLES}/{{table}}.md",
        tex=f"{TABLES}/{{table}}.tex",
    log:
        f"{LOGS}/table/{{table}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=settings_of("table"),
        recipe=recipe_of("table"),
        made_by=made_by("table"),
    message:
        "Writing {wildcards.table}"
    script:
        "../scripts/table.py"


rule figures:
    input:
        collect(f"{FIGURES}/{{figure}}.pdf", figure=plan.asked_for("figures")),


rule tables:
    input:
        collect(f"{TABLES}/{{table}}.csv", table=plan.asked_for("tables")),
