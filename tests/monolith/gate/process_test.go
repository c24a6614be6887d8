package gate

import (
	"testing"
	"time"
)

func TestAnEventThatGoesOnWaitingIsPutOffLonger(t *testing.T) {
	for deliveries, expected := range map[uint64]time.Duration{
		1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 4: 2 * time.Second, 5: 4 * time.Second, 1e6: 4 * time.Second} {
		if delay := waitDelay(deliveries); delay != expected {
			t.Errorf("delivery %d: %v, expected %v", deliveries, delay, expected)
		}
	}
}
