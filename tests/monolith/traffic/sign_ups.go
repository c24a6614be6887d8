package traffic

import (
	"context"
	"fmt"

	"cutover/monolith/world"

	"github.com/jackc/pgx/v4"
)

// signUp is a new principal with a verified phone, a profile and a username.
type signUp struct {
	traffic *Traffic
	name    string
	phone   string
}

func (t *Traffic) planSignUp() *signUp {
	return &signUp{t, world.PersonName(t.random), world.Phone(t.random, int64(t.random.Intn(10_000_000)))}
}

func (s *signUp) apply(ctx context.Context, tx pgx.Tx, done *turn) error {
	from := newRequest(done.now)
	principal, err := queryOne(ctx, tx, "INSERT INTO app.principals AS p DEFAULT VALUES"+principalRow)
	if err != nil {
		return err
	}
	if err := done.emit("identity.principal_created", "principal", "user", principal,
		principalChanged(principal), from); err != nil {
		return err
	}
	channel, err := queryOne(ctx, tx, `INSERT INTO app.channels AS c (principal_id, kind, value, state, verified_at)
		VALUES ($1, 'phone', $2, 'verified_active', now())`+channelRow, principal.id, s.phone)
	if err != nil {
		return err
	}
	if err := done.emit("channel.claim_verified", "channel", "user", channel, channelPayload{channel.id,
		channel.first}, from); err != nil {
		return err
	}
	profile, err := queryOne(ctx, tx, `INSERT INTO app.profiles AS p (owner_principal_id, profile_class,
		  display_name, discoverable)
		VALUES ($1, 'single', $2, true)`+profileRow, principal.id, s.name)
	if err != nil {
		return err
	}
	if err := done.emit("profile.created", "profile", "user", profile, profileChanged(profile), from); err != nil {
		return err
	}
	named, err := queryOne(ctx, tx, `UPDATE app.principals p SET username = $2, version = version + 1
		WHERE p.principal_id = $1`+principalRow, principal.id, world.Username(s.name, principal.id))
	if err != nil {
		return err
	}
	done.committed = append(done.committed, func() { s.traffic.signedUp(principal.id, profile.id, channel.id) })
	return done.emit("identity.username_assigned", "principal", "user", named, principalChanged(named), from)
}

func (t *Traffic) signedUp(principal, profile, channel int64) {
	for _, highest := range []struct {
		known *int64
		id    int64
	}{{&t.principals, principal}, {&t.profiles, profile}, {&t.channels, channel}} {
		if highest.id > *highest.known {
			*highest.known = highest.id
		}
	}
}

func queryOne(ctx context.Context, tx pgx.Tx, sql string, arguments ...interface{}) (row, error) {
	found, err := query(ctx, tx, sql, arguments...)
	if err != nil {
		return row{}, fmt.Errorf("sign-up: %w", err)
	}
	if len(found) != 1 {
		return row{}, fmt.Errorf("sign-up: %d rows where one was expected", len(found))
	}
	return found[0], nil
}
