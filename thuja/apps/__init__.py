"""The applications, one folder each. These two tables are the closed list of what a spec or an artefact may name; third parties add an
installed entry point in each of the groups `thuja.tasks` and `thuja.codecs`."""

TASKS: dict[str, str] = {
    "image-classification": "thuja.apps.image_classification.task:ImageClassification",
    "text-classification": "thuja.apps.text_classification.task:TextClassification",
    "table": "thuja.apps.table.task:Table",
    "recommendation": "thuja.apps.recommendation.task:Recommendation",
}
CODECS: dict[str, str] = {
    "image-classification": "thuja.apps.image_classification.codec:ImageClassificationCodec",
    "text-classification": "thuja.apps.text_classification.codec:TextClassificationCodec",
    "table": "thuja.apps.table.codec:TableCodec",
    "recommendation": "thuja.apps.recommendation.codec:RecommendationCodec",
}
