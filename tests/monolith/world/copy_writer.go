package world

import (
	"bufio"
	"math"
	"strconv"
	"time"
)

// copyWriter writes rows in the text format of COPY. Write errors stick to the bufio.Writer.
type copyWriter struct {
	*bufio.Writer
	started bool
	scratch []byte
}

func (w *copyWriter) field() {
	if w.started {
		w.WriteByte('\t')
	}
	w.started = true
}

func (w *copyWriter) null() *copyWriter {
	w.field()
	w.WriteString(`\N`)
	return w
}

func (w *copyWriter) id(id int64) *copyWriter {
	if id == 0 {
		return w.null()
	}
	w.field()
	w.scratch = strconv.AppendInt(w.scratch[:0], id, 10)
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) number(number float64) *copyWriter {
	w.field()
	w.scratch = strconv.AppendFloat(w.scratch[:0], math.Round(number*1e6)/1e6, 'g', -1, 64)
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) flag(flag bool) *copyWriter {
	w.field()
	if flag {
		w.WriteByte('t')
	} else {
		w.WriteByte('f')
	}
	return w
}

func (w *copyWriter) time(at time.Time) *copyWriter {
	if at.IsZero() {
		return w.null()
	}
	w.field()
	w.scratch = at.UTC().AppendFormat(w.scratch[:0], "2006-01-02 15:04:05.999999Z07")
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) text(text string) *copyWriter {
	if text == "" {
		return w.null()
	}
	w.field()
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			w.WriteString(`\\`)
		case '\t':
			w.WriteString(`\t`)
		case '\n':
			w.WriteString(`\n`)
		case '\r':
			w.WriteString(`\r`)
		default:
			w.WriteByte(text[i])
		}
	}
	return w
}

func (w *copyWriter) end() {
	w.WriteByte('\n')
	w.started = false
}
