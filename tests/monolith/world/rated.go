package world

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Rated is a world made from a rating file: who rates somebody above 0 has that person as a contact, who rates
// somebody below 0 flags that person.
type Rated struct {
	seed      int64
	ids       []int64 // of the principals, ascending: the ids of the file
	firstSeen map[int64]time.Time
	ratings   []rating
}

type rating struct {
	source, target int64
	value          float64
	first, last    time.Time
}

const (
	ratingForm  = "source,target,rating,time"
	ratingIDMax = 1_000_000_000_000_000
)

// ReadRatings reads lines of source,target,rating,time: two different ids from 1 to 10^15, a rating from -10 to 10 and a
// time in seconds since 1970 or in RFC 3339. A rating of 0 says no more than that the two exist. Lines that are empty or
// begin with # are passed over; the first line may name the columns. Later ratings of the same pair replace earlier ones
// and extend its evidence. The first bad line ends it with its number.
func ReadRatings(in io.Reader, seed int64) (*Rated, error) {
	r := &Rated{seed: seed, firstSeen: map[int64]time.Time{}}
	pairs := map[[2]int64]int{}
	lines := bufio.NewScanner(in)
	number := 1
	for ; lines.Scan(); number++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") || (number == 1 && isRatingHeader(line)) {
			continue
		}
		one, err := parseRating(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		r.meet(one.source, one.first)
		r.meet(one.target, one.first)
		pair := [2]int64{one.source, one.target}
		if at, known := pairs[pair]; known {
			r.ratings[at].merge(one)
		} else {
			pairs[pair] = len(r.ratings)
			r.ratings = append(r.ratings, one)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number, err)
	}
	if len(r.ratings) == 0 {
		return nil, fmt.Errorf("no ratings; expected lines of %s", ratingForm)
	}
	sort.Slice(r.ids, func(i, j int) bool { return r.ids[i] < r.ids[j] })
	return r, nil
}

// EndAt moves all times by one span, so that the newest rating is at this time: old ratings make a world of today.
func (r *Rated) EndAt(at time.Time) {
	_, newest := r.span()
	r.move(func(old time.Time) time.Time { return at.Add(old.Sub(newest)) })
}

// ScaleInto maps all times linearly, the oldest rating to the one time and the newest to the other.
func (r *Rated) ScaleInto(from, to time.Time) {
	oldest, newest := r.span()
	if oldest.Equal(newest) {
		oldest = newest.Add(-1) // of one time only: all are new
	}
	factor := float64(to.Sub(from)) / float64(newest.Sub(oldest))
	r.move(func(old time.Time) time.Time {
		return to.Add(-time.Duration(float64(newest.Sub(old)) * factor)).Truncate(time.Microsecond)
	})
}

func (r *Rated) span() (oldest, newest time.Time) {
	oldest, newest = r.ratings[0].first, r.ratings[0].last
	for _, one := range r.ratings {
		if one.first.Before(oldest) {
			oldest = one.first
		}
		if one.last.After(newest) {
			newest = one.last
		}
	}
	return oldest, newest
}

func (r *Rated) move(to func(time.Time) time.Time) {
	for i := range r.ratings {
		r.ratings[i].first, r.ratings[i].last = to(r.ratings[i].first), to(r.ratings[i].last)
	}
	for id, first := range r.firstSeen {
		r.firstSeen[id] = to(first)
	}
}

func isRatingHeader(line string) bool {
	return strings.HasPrefix(strings.ToLower(line), "source") && strings.Count(line, ",") == 3
}

func parseRating(line string) (rating, error) {
	fields := strings.Split(line, ",")
	if len(fields) != 4 {
		return rating{}, fmt.Errorf("%d fields, expected 4: %s", len(fields), ratingForm)
	}
	one := rating{}
	var err error
	if one.source, err = parseID("source", fields[0]); err != nil {
		return one, err
	}
	if one.target, err = parseID("target", fields[1]); err != nil {
		return one, err
	}
	if one.source == one.target {
		return one, fmt.Errorf("%d rates itself", one.source)
	}
	one.value, err = strconv.ParseFloat(strings.TrimSpace(fields[2]), 64)
	if err != nil || math.IsNaN(one.value) || one.value < -10 || one.value > 10 {
		return one, fmt.Errorf("rating %q is no number from -10 to 10", fields[2])
	}
	if one.first, err = parseTime(strings.TrimSpace(fields[3])); err != nil {
		return one, err
	}
	one.last = one.first
	return one, nil
}

func parseID(name, text string) (int64, error) {
	id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || id < 1 || id > ratingIDMax {
		return 0, fmt.Errorf("%s %q is no whole number from 1 to 10^15", name, text)
	}
	return id, nil
}

var latestRating = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		seconds, notNumber := strconv.ParseFloat(text, 64)
		if notNumber != nil || math.IsNaN(seconds) || math.Abs(seconds) > 1e12 {
			return time.Time{}, fmt.Errorf("time %q is neither seconds since 1970 nor RFC 3339", text)
		}
		at = time.UnixMicro(int64(seconds * 1e6))
	}
	if at.Unix() < 0 || at.After(latestRating) {
		return time.Time{}, fmt.Errorf("time %q is not from 1970 to 2200", text)
	}
	return at.UTC(), nil
}

func (r *Rated) meet(id int64, at time.Time) {
	first, known := r.firstSeen[id]
	if !known {
		r.ids = append(r.ids, id)
	}
	if !known || at.Before(first) {
		r.firstSeen[id] = at
	}
}

func (r *rating) merge(later rating) {
	if later.first.Before(r.first) {
		r.first = later.first
	}
	if !later.last.Before(r.last) {
		r.last, r.value = later.last, later.value
	}
}

func (r *Rated) name(id int64) string { return PersonName(NewRandom(r.seed, streamPrincipals, id)) }

// Principals implements World.
func (r *Rated) Principals(row func(Principal)) {
	for _, id := range r.ids {
		row(Principal{ID: id, Username: Username(r.name(id), id), Status: "active", CreatedAt: r.firstSeen[id]})
	}
}

// Profiles implements World: everybody has one of class single.
func (r *Rated) Profiles(row func(Profile)) {
	for i, id := range r.ids {
		row(Profile{ID: int64(i) + 1, OwnerID: id, Class: "single", DisplayName: r.name(id),
			Discoverable: true, UpdatedAt: r.firstSeen[id]})
	}
}

func (r *Rated) phone(id int64) string {
	return Phone(NewRandom(r.seed, streamChannels, id), id)
}

// Channels implements World: everybody has a verified phone.
func (r *Rated) Channels(row func(Channel)) {
	for i, id := range r.ids {
		row(Channel{ID: int64(i) + 1, PrincipalID: id, Kind: "phone", Value: r.phone(id),
			State: "verified_active", VerifiedAt: r.firstSeen[id]})
	}
}

// Contacts implements World: one for each positive rating, with a confidence of a tenth of it.
func (r *Rated) Contacts(row func(Contact)) {
	id := int64(0)
	for _, one := range r.ratings {
		if one.value <= 0 {
			continue
		}
		id++
		row(Contact{ID: id, OwnerID: one.source, TargetID: one.target, DisplayName: r.name(one.target),
			Phone: r.phone(one.target),
			State: "active_confirmed", Confidence: one.value / 10, FirstSeenAt: one.first,
			LastEvidenceAt: one.last})
	}
}

// Circles implements World: there are none.
func (r *Rated) Circles(func(Circle)) {}

// Cases implements World: there are none.
func (r *Rated) Cases(func(Case)) {}

// Incidents implements World: one uncleared soft abuse flag on the target of each negative rating.
func (r *Rated) Incidents(row func(Incident)) {
	id := int64(0)
	for _, one := range r.ratings {
		if one.value >= 0 {
			continue
		}
		id++
		row(Incident{ID: id, PrincipalID: one.target, Kind: "abuse_flag", Band: "soft", OccurredAt: one.last})
	}
}
