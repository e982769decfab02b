# Figures and tables, which depend only on tidy tables and the style.


rule figure:
    input:
        unpack(tables_of_figure),
        contents=contents_of_stores("figure"),
    output:
        pdf=report(
            f"{FIGURES}/{{figure}}.pdf",
            caption="../report/figure.rst",
            category=category_of("figures"),
            labels=labels_of("figures", "vector (PDF)"),
        ),
        png=report(
            f"{FIGURES}/{{figure}}.png",
            caption="../report/figure.rst",
            category=category_of("figures"),
            labels=labels_of("figures", "picture (PNG)"),
        ),
        csv=report(
            f"{FIGURES}/{{figure}}.csv",
            caption="../report/figure.rst",
            category=category("Files"),
            labels=labels_of("figures", "numbers (CSV)"),
        ),
        json=f"{FIGURES}/{{figure}}.json",
    log:
        f"{LOGS}/figure/{{figure}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=job_of("figure"),
    message:
        "Drawing figure {wildcards.figure}"
    script:
        "../scripts/figure.py"


rule table:
    input:
        unpack(tables_of_table),
        contents=contents_of_stores("table"),
    output:
        csv=report(
            f"{TABLES}/{{table}}.csv",
            caption="../report/table.rst",
            category=category("Files"),
            labels=labels_of("tables", "numbers (CSV)"),
        ),
        md=f"{TABLES}/{{table}}.md",
        tex=report(
            f"{TABLES}/{{table}}.tex",
            caption="../report/table.rst",
            category=category("Files"),
            labels=labels_of("tables", "LaTeX"),
        ),
        html=report(
            f"{TABLES}/{{table}}.html",
            caption="../report/table.rst",
            category=category_of("tables"),
            labels=labels_of("tables", "page (HTML)"),
        ),
        json=f"{TABLES}/{{table}}.json",
    log:
        f"{LOGS}/table/{{table}}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=job_of("table"),
    message:
        "Writing table {wildcards.table}"
    script:
        "../scripts/table.py"


rule figures:
    input:
        collect(f"{FIGURES}/{{figure}}.pdf", figure=plan.asked_for("figures")),
    localrule: True


rule tables:
    input:
        collect(f"{TABLES}/{{table}}.csv", table=plan.asked_for("tables")),
    localrule: True


# A name without a suffix stands for all files of a figure or table: tables/table3
for maker, section in (("figure", "figures"), ("table", "tables")):
    for key in config[section]:

        rule:
            name:
                f"{getattr(plan, section)}/{key}"
            input:
                collect(
                    f"{getattr(plan, section)}/{key}.{{suffix}}",
                    suffix=getattr(rules, maker).output.keys(),
                ),
            localrule: True
