package world

import (
	"bufio"
	"bytes"
	"testing"
	"time"
)

func TestCopyWriterEscapesAndWritesNulls(t *testing.T) {
	var out bytes.Buffer
	w := &copyWriter{Writer: bufio.NewWriter(&out)}
	w.id(0).id(42).text("").text("a\tb\nc\\d\re").flag(true).flag(false).number(0.1).time(time.Time{}).
		time(time.Date(2026, 1, 2, 3, 4, 5, 678900, time.FixedZone("", 3600))).end()
	w.id(1).end()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "\\N\t42\t\\N\ta\\tb\\nc\\\\d\\re\tt\tf\t0.1\t\\N\t2026-01-02 02:04:05.000678Z\n1\n"
	if out.String() != want {
		t.Errorf("%q, expected %q", out.String(), want)
	}
}

func TestHandlesAreASCII(t *testing.T) {
	for name, want := range map[string]string{"Zoë Müller": "zo.mueller", "María O'Brien": "maria.obrien",
		"芳 さくら": "user", "Seo-yeon Kim": "seo.yeon.kim"} {
		if got := Handle(name); got != want {
			t.Errorf("Handle(%q) = %q, expected %q", name, got, want)
		}
	}
}
