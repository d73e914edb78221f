"""The applications, one folder each. These two tables are the closed list of what a spec or an artefact may name; third parties add an
installed entry point in each of the groups `thuja.tasks` and `thuja.codecs`."""

TASKS: dict[str, str] = {
    "image-classification": "thuja.apps.image_classification.task:ImageClassification",
    "object-detection": "thuja.apps.object_detection.task:ObjectDetection",
    "text-classification": "thuja.apps.text_classification.task:TextClassification",
    "speech-recognition": "thuja.apps.speech_recognition.task:SpeechRecognition",
    "table": "thuja.apps.table.task:Table",
    "recommendation": "thuja.apps.recommendation.task:Recommendation",
    "forecast": "thuja.apps.forecast.task:Forecast",
    "series": "thuja.apps.series.task:WholeSeries",
    "language-model": "thuja.apps.language_model.task:LanguageModel",
    "translation": "thuja.apps.translation.task:Translation",
    "molecules": "thuja.apps.molecules.task:Molecules",
    "control": "thuja.apps.control.task:Control",
    "image-generation": "thuja.apps.image_generation.task:ImageGeneration",
    "face-recognition": "thuja.apps.face_recognition.task:FaceRecognition",
    "segmentation": "thuja.apps.segmentation.task:Segmentation",
}
CODECS: dict[str, str] = {
    "image-classification": "thuja.apps.image_classification.codec:ImageClassificationCodec",
    "object-detection": "thuja.apps.object_detection.codec:ObjectDetectionCodec",
    "text-classification": "thuja.apps.text_classification.codec:TextClassificationCodec",
    "speech-recognition": "thuja.apps.speech_recognition.codec:SpeechRecognitionCodec",
    "table": "thuja.apps.table.codec:TableCodec",
    "recommendation": "thuja.apps.recommendation.codec:RecommendationCodec",
    "forecast": "thuja.apps.forecast.codec:ForecastCodec",
    "series": "thuja.apps.series.codec:SeriesCodec",
    "language-model": "thuja.apps.language_model.codec:LanguageModelCodec",
    "translation": "thuja.apps.translation.codec:TranslationCodec",
    "molecules": "thuja.apps.molecules.codec:MoleculesCodec",
    "control": "thuja.apps.control.codec:ControlCodec",
    "image-generation": "thuja.apps.image_generation.codec:ImageGenerationCodec",
    "face-recognition": "thuja.apps.face_recognition.codec:FaceRecognitionCodec",
    "segmentation": "thuja.apps.segmentation.codec:SegmentationCodec",
}
