package gate

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

var entropy = struct {
	sync.Mutex
	source *bufio.Reader // a system call for 4 KiB instead of one for each id
}{source: bufio.NewReader(rand.Reader)}

func randomBytes(into []byte) {
	entropy.Lock()
	defer entropy.Unlock()
	for read := 0; read < len(into); {
		n, err := entropy.source.Read(into[read:])
		if err != nil {
			panic("the system has no random numbers: " + err.Error())
		}
		read += n
	}
}

// NewEventID returns a UUID of version 7: ids of a later millisecond sort after earlier ones.
func NewEventID(now time.Time) string {
	var id [16]byte
	randomBytes(id[6:])
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(now.UnixMilli()))
	copy(id[:6], milliseconds[2:])
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// NewTraceparent returns a W3C trace context with a new trace.
func NewTraceparent() string {
	var ids [24]byte
	randomBytes(ids[:])
	return "00-" + hex.EncodeToString(ids[:16]) + "-" + hex.EncodeToString(ids[16:]) + "-01"
}
