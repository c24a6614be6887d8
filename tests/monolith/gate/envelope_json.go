package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

const (
	textBytesMax = 200 // of each string of the envelope, and of the header Cutover-Key
	depthMax     = 64  // of nesting; the envelope is 1
)

// members are the fields of one JSON object by their exact names; encoding/json would ignore case and let the last of two
// win, and two readers could see two events.
type members struct {
	values   map[string]json.RawMessage
	repeated map[string]bool
}

func readMembers(object []byte) (members, error) {
	m := members{map[string]json.RawMessage{}, map[string]bool{}}
	decoder := json.NewDecoder(bytes.NewReader(object))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return m, errors.New("no JSON object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return m, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return m, err
		}
		if _, there := m.values[name.(string)]; there {
			m.repeated[name.(string)] = true
		} else {
			m.values[name.(string)] = value
		}
	}
	if _, err := decoder.Token(); err != nil {
		return m, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return m, errors.New("more follows")
	}
	return m, nil
}

// text reads a string: at most 200 bytes without control characters.
func (m members) text(name string, mayBeEmpty bool) (string, error) {
	var text string
	raw, there := m.values[name]
	switch {
	case !there:
		return "", fmt.Errorf("%s is missing", name)
	case m.repeated[name]:
		return "", fmt.Errorf("%s appears twice", name)
	case raw[0] != '"' || json.Unmarshal(raw, &text) != nil:
		return "", fmt.Errorf("%s is no string", name)
	case text == "" && !mayBeEmpty:
		return "", fmt.Errorf("%s is empty", name)
	case len(text) > textBytesMax:
		return "", fmt.Errorf("%s has %d bytes, at most %d are allowed", name, len(text), textBytesMax)
	case !isText(text):
		return "", fmt.Errorf("%s holds a control character", name)
	}
	return text, nil
}

func (m members) integer(name string, least, most int64) (int64, error) {
	value, err := strconv.ParseInt(string(m.values[name]), 10, 64)
	if err != nil || m.repeated[name] || value < least || value > most {
		return 0, fmt.Errorf("%s is no integer from %d, given once", name, least)
	}
	return value, nil
}

// isText: UTF-8 without control characters.
func isText(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// checkBytes refuses what PostgreSQL could not hold as JSON, and what is nested too deeply.
func checkBytes(message []byte) error {
	if !utf8.Valid(message) || bytes.HasPrefix(message, []byte("\xef\xbb\xbf")) {
		return errors.New("no UTF-8 text")
	}
	depth, inString := 0, false
	for i := 0; i < len(message); i++ {
		switch c := message[i]; {
		case inString && c == '\\':
			size, err := checkEscape(message[i:])
			if err != nil {
				return err
			}
			i += size - 1
		case c == '"':
			inString = !inString
		case !inString && (c == '{' || c == '['):
			if depth++; depth > depthMax {
				return fmt.Errorf("nested more than %d deep", depthMax)
			}
		case !inString && (c == '}' || c == ']'):
			depth--
		}
	}
	return nil
}

// checkEscape returns the size of the escape at the beginning, a surrogate pair as one.
func checkEscape(text []byte) (int, error) {
	unit := func(at int) int64 {
		if len(text) < at+6 || text[at] != '\\' || text[at+1] != 'u' {
			return -1
		}
		value, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil {
			return -1
		}
		return int64(value)
	}
	switch first := unit(0); {
	case first == 0 || (first >= 0xdc00 && first <= 0xdfff):
		return 0, errors.New("an escape that is no character")
	case first >= 0xd800 && first <= 0xdbff:
		if second := unit(6); second < 0xdc00 || second > 0xdfff {
			return 0, errors.New("half a surrogate pair")
		}
		return 12, nil
	}
	return 2, nil
}
