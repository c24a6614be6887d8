// Package worker is what both Go workers of the benchmark share: the event, the pull loop, the figures.
package worker

import (
	"encoding/json"
	"fmt"
	"os"
)

// Event holds the fields of the envelope that the job needs.
type Event struct {
	IdempotencyKey string `json:"idempotency_key"`
	Subject        struct {
		ID      string `json:"subject_id"`
		Version int64  `json:"version"`
	} `json:"subject"`
	Payload struct {
		Score       int64 `json:"score"`
		PublishedUs int64 `json:"published_us"`
	} `json:"payload"`
}

// Parse ends the process for a malformed event: the benchmark publishes none.
func Parse(data []byte) Event {
	var event Event
	Must(json.Unmarshal(data, &event), "parsing an event")
	return event
}

// Must ends the process when a step failed: the run is worthless.
func Must(err error, step string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", step, err)
		os.Exit(3)
	}
}
