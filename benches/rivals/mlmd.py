"""Records executions, an output each and two inputs each in ml-metadata, and prints the time as JSON.

usage: mlmd.py per-item|calls|subgraph COUNT DATABASE

The graph is the one of the figures: COUNT executions, COUNT artifacts that they put out, and
3 COUNT events; inputs are outputs of before, or one of two sources that are not counted.

per-item   put_execution, one execution with its output and events a call
calls      put_artifacts, put_executions and put_events, each one call for all
subgraph   put_lineage_subgraph, one call for all
"""

import json
import random
import sys
import time

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlpb


def connect(path):
    config = mlpb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = mlpb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return metadata_store.MetadataStore(config)


def types(store):
    dataset = mlpb.ArtifactType(name="Dataset")
    step = mlpb.ExecutionType(name="Step")
    for kind in (dataset, step):
        for name in ("digest", "note"):
            kind.properties[name] = mlpb.STRING
    return store.put_artifact_type(dataset), store.put_execution_type(step)


def artifact(type_id, number):
    made = mlpb.Artifact(type_id=type_id, uri=f"data/{number:08}", name=f"dataset-{number:08}")
    made.properties["digest"].string_value = f"blake3:{number:064x}"
    made.properties["note"].string_value = "x" * 80
    return made


def execution(type_id, number):
    made = mlpb.Execution(type_id=type_id, name=f"step-{number:08}")
    made.properties["digest"].string_value = f"blake3:{number:064x}"
    made.properties["note"].string_value = "x" * 80
    return made


def inputs(dice, number):
    """Returns two different places among what was made before: two sources, then the outputs."""
    return dice.sample(range(number + 2), 2)


def event(kind, artifact_id=None, execution_id=None):
    return mlpb.Event(type=kind, artifact_id=artifact_id, execution_id=execution_id)


def per_item(store, dataset, step, sources, count, dice):
    # Inputs are handed over as they are stored: with their id alone they would be emptied.
    known = store.get_artifacts_by_id(sources)
    for number in range(count):
        used = [(known[at], event(mlpb.Event.INPUT)) for at in inputs(dice, number)]
        output = artifact(dataset, number)
        made = (output, event(mlpb.Event.OUTPUT))
        _, artifact_ids, _ = store.put_execution(execution(step, number), used + [made], [])
        output.id = artifact_ids[-1]
        known.append(output)


def calls(store, dataset, step, sources, count, dice):
    ids = list(sources) + list(store.put_artifacts([artifact(dataset, number) for number in range(count)]))
    steps = store.put_executions([execution(step, number) for number in range(count)])
    events = []
    for number, step_id in enumerate(steps):
        events += [event(mlpb.Event.INPUT, ids[at], step_id) for at in inputs(dice, number)]
        events.append(event(mlpb.Event.OUTPUT, ids[number + 2], step_id))
    store.put_events(events)


def subgraph(store, dataset, step, sources, count, dice):
    artifacts = store.get_artifacts_by_id(sources) + [artifact(dataset, number) for number in range(count)]
    executions = [execution(step, number) for number in range(count)]
    edges = []
    for number in range(count):
        edges += [(number, at, event(mlpb.Event.INPUT)) for at in inputs(dice, number)]
        edges.append((number, number + 2, event(mlpb.Event.OUTPUT)))
    store.put_lineage_subgraph(executions, artifacts, [], edges)


def main():
    how, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    store = connect(path)
    dataset, step = types(store)
    sources = store.put_artifacts([artifact(dataset, 10**7 + number) for number in range(2)])
    dice = random.Random(7)
    ways = {"per-item": per_item, "calls": calls, "subgraph": subgraph}
    begun = time.perf_counter()
    ways[how](store, dataset, step, sources, count, dice)
    seconds = time.perf_counter() - begun
    found = len(store.get_executions()), len(store.get_artifacts()) - 2
    wanted = (count, count)
    if found != wanted:
        sys.exit(f"{found} executions and artifacts are there, not {wanted}")
    events = len(store.get_events_by_execution_ids([made.id for made in store.get_executions()]))
    if events != 3 * count:
        sys.exit(f"{events} events are there, not {3 * count}")
    print(json.dumps({"how": how, "executions": count, "events": events, "seconds": seconds}))


main()
