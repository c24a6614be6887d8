package gate

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHeadersKeepEveryValue(t *testing.T) {
	got := headersJSON(map[string][]string{"b": {"2", "3"}, "a": {"1"}, "raw": {"\xff\x00"}})
	if want := `[["a","1"],["b","2"],["b","3"],["raw",null,"/wA="]]`; got != want {
		t.Errorf("%s, expected %s", got, want)
	}
	if got := headersJSON(nil); got != "[]" {
		t.Errorf("no headers: %s", got)
	}
}

func TestErrorsOfOneProblemShareAGroup(t *testing.T) {
	first := errorGroup(`Key (id)=(42) at 2026-03-01T10:00:00Z: "Ann" 01a1f8d5-2edc-7ce8-9af0-5d666664b0a3`)
	second := errorGroup(`Key (id)=(7)  at 2027-04-02T11:12:13.5Z: "Bob" 11a1f8d5-2edc-7ce8-9af0-5d666664b0a3`)
	if first != second || first != "Key (id)=(<n>) at <time>: <text> <id>" {
		t.Errorf("%s and %s", first, second)
	}
}

func TestErrorTextIsShortAndText(t *testing.T) {
	got := errorText("\x00\xff" + strings.Repeat("ä", 2000))
	if len(got) > 2048 || !utf8.ValidString(got) || !strings.HasPrefix(got, "??ä") {
		t.Errorf("%d bytes: %.10q", len(got), got)
	}
}
