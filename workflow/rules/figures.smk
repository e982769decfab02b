# Figures: pure functions of tidy tables and style.


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


rule figures:
    input:
        collect(f"{FIGURES}/{{figure}}.pdf", figure=config["figures"]),
