package gate

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
)

// vectors holds whole messages and what every side must make of them. Workers carry the same file; operators' commands
// refuse while the two differ.
//
//go:embed vectors.json
var vectors []byte

// VectorsHash is the SHA-256 of the vectors, in hex; part of the heartbeat.
func VectorsHash() string {
	sum := sha256.Sum256(vectors)
	return hex.EncodeToString(sum[:])
}
