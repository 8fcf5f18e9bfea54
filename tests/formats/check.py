"""Reads what `griptrace export` writes with programs that others wrote.

Leaves with 0 and prints what was read if they accept it, with 3 if they refuse it, and with anything else if this
script itself is wrong. `tests/suite/formats.rs` runs it; docs/export.md has the versions.
"""

import base64
import json
import pathlib
import sys

REFUSED = 3


def refuse(why):
    print(f"refused: {why}")
    sys.exit(REFUSED)


def read(path):
    return pathlib.Path(path).read_bytes()


def statement(path, log_key, committer_key):
    """scitt-cose: the statement's signature, and its receipt over the entry with the header emptied."""
    import cbor2
    from scitt_cose import CoseError, extract_receipts, parse_signed_statement, verify_receipt

    bytes_ = read(path)
    try:
        receipts = extract_receipts(bytes_)
        protected, _, payload, signature = cbor2.loads(bytes_).value
        entry = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))
        signed = parse_signed_statement(entry, public_key_pem=read(committer_key))
    except (CoseError, cbor2.CBORDecodeError, AttributeError, TypeError, ValueError) as error:
        refuse(error)
    if not signed["signature_verified"]:
        refuse("the statement's signature does not verify")
    if len(receipts) != 1:
        refuse(f"{len(receipts)} receipts")
    receipt = verify_receipt(receipts[0], leaf_entry_hex=entry.hex(), log_public_key_pem=read(log_key))
    if not receipt.ok:
        refuse(receipt.errors)
    kid = receipt.protected_header_ext[4].hex()
    print(json.dumps({"issuer": receipt.issuer, "subject": receipt.subject, "kid": kid, "root": receipt.root,
                      "index": receipt.leaf_index, "size": receipt.tree_size, "entry": len(entry)}))


def opened(path, key):
    """securesystemslib: the envelope's signature. Returns the statements, one a line."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import SSlibKey

    statements = []
    for line in read(path).splitlines():
        fields = json.loads(line)
        key_id = fields["signatures"][0]["keyid"]
        try:
            envelope = Envelope.from_dict(fields)
            public = SSlibKey.from_crypto(load_pem_public_key(read(key)), key_id)
            envelope.verify([public], 1)
        except (Error, ValueError) as error:
            refuse(error)
        if envelope.payload_type != "application/vnd.in-toto+json":
            refuse(envelope.payload_type)
        statements.append(json.loads(envelope.payload))
    return statements


def in_toto(statements):
    """in-toto-attestation: the statement, and the predicate of a provenance without unknown fields.

    Its message of a verification summary has one verified level, where SLSA says a list: that is not asked.
    """
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    for fields in statements:
        try:
            Statement.copy_from_pb(json_format.ParseDict(fields, statement_pb2.Statement())).validate()
            if fields["predicateType"] == "https://slsa.dev/provenance/v1":
                json_format.ParseDict(fields["predicate"], Provenance())
        except (json_format.ParseError, ValueError) as error:
            refuse(error)
        print(json.dumps(fields))


def envelope(path, key):
    in_toto(opened(path, key))


def statements(path):
    in_toto([json.loads(line) for line in read(path).splitlines()])


def sigstore(path):
    """sigstore: the bundle's own model of itself, whatever it holds."""
    from pydantic import ValidationError
    from sigstore_models.bundle.v1 import Bundle

    try:
        bundle = Bundle.from_json(read(path))
    except (ValidationError, ValueError) as error:
        refuse(error)
    print(bundle.media_type)


def cyclonedx(path):
    """cyclonedx-python-lib: the strict schema, and the library's own reading."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = read(path).decode()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error:
        refuse(error)
    bom = Bom.from_json(json.loads(text))
    bom.validate()
    print(json.dumps({"components": len(bom.components), "dependencies": len(bom.dependencies),
                      "serial": str(bom.serial_number)}))


def prov(path):
    """prov: the document, its relations, and whether each leads to something that it describes."""
    from prov.model import ProvDocument, ProvException

    try:
        document = ProvDocument.deserialize(content=read(path).decode(), format="json")
    except (ProvException, ValueError, KeyError, AttributeError, TypeError) as error:
        refuse(repr(error))
    counts, known = {}, set()
    for record in document.get_records():
        name = record.get_type().localpart
        counts[name] = counts.get(name, 0) + 1
        if record.is_element():
            known.add(record.identifier)
    for record in document.get_records():
        if record.is_relation():
            for _, end in record.formal_attributes:
                if end is not None and end not in known:
                    refuse(f"{record} leads to nothing that is described")
    print(json.dumps(counts))


if __name__ == "__main__":
    checks = [statement, envelope, statements, sigstore, cyclonedx, prov]
    {check.__name__: check for check in checks}[sys.argv[1]](*sys.argv[2:])
