// Command judge-go verifies a log, or one receipt, that Runstone wrote, with the reference
// implementation golang.org/x/mod/sumdb. It shares no code with Runstone: that is its purpose.
//
//	judge-go <dir> <vkey>                       a folder with checkpoint, tile/..., tile/entries/...
//	judge-go receipt <file> <entryfile> <vkey>  one .tlog-proof and the bytes of its entry
//
// Prints "ok <size> <root>" and exits 0, or prints the reason and exits 1.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Tiles of tlog-tiles have a fixed height of 8, which the paths do not name.
const tileHeight = 8

func main() {
	var (
		tree tlog.Tree
		err  error
	)
	switch args := os.Args[1:]; {
	case len(args) == 4 && args[0] == "receipt":
		tree, err = judgeReceipt(args[1], args[2], args[3])
	case len(args) == 2:
		tree, err = judgeLog(args[0], args[1])
	default:
		err = errors.New("usage: judge-go <dir> <vkey> | judge-go receipt <file> <entryfile> <vkey>")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge-go:", err)
		os.Exit(1)
	}
	fmt.Printf("ok %d %s\n", tree.N, tree.Hash)
}

// openCheckpoint verifies the signature and reads the three lines of the text.
func openCheckpoint(signed []byte, vkey string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, fmt.Errorf("checkpoint has %d lines, want 3", len(lines)-1)
	}
	if lines[0] != verifier.Name() {
		return tree, fmt.Errorf("checkpoint of %q signed by %q", lines[0], verifier.Name())
	}
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || tree.N < 0 || strconv.FormatInt(tree.N, 10) != lines[1] {
		return tree, fmt.Errorf("bad tree size %q", lines[1])
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// hashes holds every hash of a tree in the order of tlog.StoredHashIndex.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("hash %d is not in the tree", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

// tilePath returns the path of a tile below the prefix of the log.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}

// judgeLog derives every hash from the entries and compares all tiles and the root.
func judgeLog(dir, vkey string) (tlog.Tree, error) {
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := openCheckpoint(signed, vkey)
	if err != nil {
		return tree, err
	}
	var stored hashes
	tiles := tlog.NewTiles(tileHeight, 0, tree.N)
	for _, tile := range tiles {
		if tile.L != 0 {
			continue
		}
		path := strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1)
		bundle, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return tree, err
		}
		for i := 0; i < tile.W; i++ {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return tree, fmt.Errorf("%s ends within entry %d", path, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			index := tile.N<<tileHeight + int64(i)
			added, err := tlog.StoredHashes(index, bundle[2:end], stored)
			if err != nil {
				return tree, err
			}
			stored = append(stored, added...)
			bundle = bundle[end:]
		}
		if len(bundle) != 0 {
			return tree, fmt.Errorf("%s has %d bytes too many", path, len(bundle))
		}
	}
	for _, tile := range tiles {
		want, err := tlog.ReadTileData(tile, stored)
		if err != nil {
			return tree, err
		}
		got, err := os.ReadFile(filepath.Join(dir, tilePath(tile)))
		if err != nil {
			return tree, err
		}
		if !bytes.Equal(got, want) {
			return tree, fmt.Errorf("%s differs from what the entries give", tilePath(tile))
		}
	}
	root, err := treeHash(tree.N, stored)
	if err != nil {
		return tree, err
	}
	if root != tree.Hash {
		return tree, fmt.Errorf("root is %s, checkpoint says %s", root, tree.Hash)
	}
	return tree, nil
}

// treeHash also knows the empty tree, for which tlog.TreeHash differs between versions.
func treeHash(n int64, stored hashes) (tlog.Hash, error) {
	if n == 0 {
		return tlog.ParseHash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	}
	return tlog.TreeHash(n, stored)
}

// judgeReceipt reads a c2sp.org/tlog-proof@v1 and verifies it against the entry.
func judgeReceipt(file, entryFile, vkey string) (tlog.Tree, error) {
	receipt, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return tlog.Tree{}, err
	}
	split := bytes.Index(receipt, []byte("\n\n"))
	if split < 0 {
		return tlog.Tree{}, errors.New("receipt has no blank line")
	}
	lines := strings.Split(string(receipt[:split]), "\n")
	tree, err := openCheckpoint(receipt[split+2:], vkey)
	if err != nil {
		return tree, err
	}
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return tree, fmt.Errorf("receipt starts with %q", lines[0])
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[0], "extra ")); err != nil {
			return tree, err
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return tree, errors.New("receipt has no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return tree, err
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return tree, err
		}
		proof = append(proof, hash)
	}
	if index < 0 || index >= tree.N {
		return tree, fmt.Errorf("entry %d is not in a tree of size %d", index, tree.N)
	}
	return tree, tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}
