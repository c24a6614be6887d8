package worker

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	pullBatch = 256
	pullDepth = 4
	// Longer than any run: a request that expires half filled would have to be counted.
	pullExpires = 30 * time.Minute
)

// Puller keeps several pull requests under way on one inbox, as Consume of later nats.go versions does; Fetch of this
// version waits for one request to be answered before it sends the next.
type Puller struct {
	conn    *nats.Conn
	subject string
	inbox   string
	request []byte
	settled int64
}

// Pull calls `handle` for every message, from one goroutine, in stream order.
func Pull(conn *nats.Conn, o Options, handle func(*nats.Msg)) *Puller {
	p := &Puller{
		conn:    conn,
		subject: "$JS.API.CONSUMER.MSG.NEXT." + o.Stream + "." + o.Durable,
		inbox:   nats.NewInbox(),
		request: []byte(fmt.Sprintf(`{"batch":%d,"expires":%d}`, pullBatch, pullExpires.Nanoseconds())),
	}
	sub, err := conn.Subscribe(p.inbox, func(m *nats.Msg) {
		if m.Reply == "" {
			Must(fmt.Errorf("%s", m.Header.Get("Description")), "the broker ended a pull request")
		}
		handle(m)
	})
	Must(err, "subscribing to the inbox")
	Must(sub.SetPendingLimits(-1, -1), "lifting the subscription's limits")
	for i := 0; i < pullDepth; i++ {
		p.pull()
	}
	return p
}

func (p *Puller) pull() {
	Must(p.conn.PublishRequest(p.subject, p.inbox, p.request), "sending a pull request")
}

// Settled acknowledges a message and asks for the next batch when a whole one was settled.
func (p *Puller) Settled(m *nats.Msg) {
	Must(p.conn.Publish(m.Reply, nil), "acknowledging")
	if atomic.AddInt64(&p.settled, 1)%pullBatch == 0 {
		p.pull()
	}
}
