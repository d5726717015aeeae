"""Validates one document: python3 -c THIS FORMAT FILE. Says what is wrong, and exits with 1."""
import csv, io, json, sys, warnings

warnings.simplefilter("ignore")  # about dependency graphs, which images do not have


def cyclonedx(path, version):
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = open(path, encoding="utf-8").read()
    error = JsonStrictValidator(SchemaVersion[version]).validate_str(text)
    if error is not None:
        raise ValueError(repr(error))
    document = json.loads(text)
    bom = Bom.from_json(document)  # as a consumer
    bom.validate()
    assert len(bom.components) == len(document["components"]), "components were lost"
    assert len(bom.vulnerabilities) == len(document.get("vulnerabilities", [])), "vulnerabilities were lost"


def spdx2(path):
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    messages = validate_full_spdx_document(parse_file(path))
    if messages:
        raise ValueError("\n".join(str(message) for message in messages))


def spdx3(path):
    from spdx_python_model import v3_0_1 as model

    objects = model.SHACLObjectSet()
    with open(path, "rb") as file:
        model.JSONLDDeserializer().read(file, objects)
    missing = objects.link()
    if missing:
        raise ValueError(f"elements that are not in the document: {missing}")
    # What is required is asked for when it is written.
    model.JSONLDSerializer().write(objects, io.BytesIO())


def junit(path):
    import junitparser

    suites = junitparser.JUnitXml.fromfile(path)
    for suite in suites:
        cases = list(suite)
        results = [result for case in cases for result in case.result]
        skipped = sum(isinstance(result, junitparser.Skipped) for result in results)
        failed = sum(isinstance(result, junitparser.Failure) for result in results)
        assert (suite.tests, suite.failures, suite.skipped) == (len(cases), failed, skipped), "the counts are others"


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert all(len(row) == len(rows[0]) for row in rows), "rows have other numbers of columns"


CHECKS = {
    "cyclonedx": lambda path: cyclonedx(path, "V1_7"),
    "cyclonedx-1.6": lambda path: cyclonedx(path, "V1_6"),
    "spdx": spdx2,
    "spdx-3": spdx3,
    "junit": junit,
    "csv": table,
}
try:
    CHECKS[sys.argv[1]](sys.argv[2])
except Exception as error:
    print(f"{type(error).__name__}: {error}"[:2000])
    sys.exit(1)
