// Reads what a log and `griptrace export tlog-proof` write with Go modules that others wrote.
//
// Leaves with 0 if they accept it, with 3 if they refuse it. tests/suite/formats.rs runs it.
package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	verifier, err := note.NewVerifier(os.Args[3])
	stop(err)
	switch os.Args[1] {
	case "proof":
		proof(os.Args[2], verifier)
	case "tiles":
		tiles(os.Args[2], verifier)
	default:
		stop(fmt.Errorf("no such check: %s", os.Args[1]))
	}
}

// proof verifies a tlog-proof whose extra line is the entry.
func proof(path string, verifier note.Verifier) {
	file, err := os.ReadFile(path)
	stop(err)
	entry, err := torchwood.ProofExtraData(file)
	refuse(err)
	refuse(torchwood.VerifyProof(policy(verifier), tlog.RecordHash(entry), file))
	fmt.Printf("%d bytes are in the log\n", len(entry))
}

// tiles verifies the checkpoint of a log, every tile under it and every entry.
func tiles(folder string, verifier note.Verifier) {
	files := os.DirFS(folder)
	signed, err := fs.ReadFile(files, "checkpoint")
	stop(err)
	_, err = note.Open(signed, note.VerifierList(verifier))
	refuse(err)
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy(verifier))
	refuse(err)
	reader, err := torchwood.NewTileFS(files)
	stop(err)
	client, err := torchwood.NewClient(reader)
	stop(err)
	entries := 0
	for range client.AllEntries(context.Background(), checkpoint.Tree, 0) {
		entries++
	}
	refuse(client.Err())
	for index := range checkpoint.N {
		entry, path, err := client.Entry(context.Background(), checkpoint.Tree, index)
		refuse(err)
		refuse(tlog.CheckRecord(path, checkpoint.N, checkpoint.Hash, index, tlog.RecordHash(entry)))
	}
	fmt.Printf("%d of %d entries\n", entries, checkpoint.N)
}

// policy asks for the log's signature under its own name.
func policy(verifier note.Verifier) torchwood.Policy {
	return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier))
}

func refuse(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(3)
	}
}

func stop(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
