# Entry point of a call in this folder. Workflows that import this one name workflow/Snakefile, where the
# Snakemake workflow catalogue looks for it too.
include: "workflow/Snakefile"


# What a call without a target makes: an included file does not choose it.
rule default:
    input:
        rules.all.input,
    localrule: True
