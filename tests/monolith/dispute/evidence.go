package dispute

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Evidence is what is known about a case; only the fields of its type count.
type Evidence struct {
	// C1
	IncumbentOTP         bool
	ChallengerOTP        bool
	IncumbentDeviceDays  int64
	ChallengerDeviceDays int64
	// C2
	OTP                  bool
	OldOwnerInactiveDays int64
	ClaimedAt            time.Time
	OldOwnerDisputed     bool
	// C3
	AutoApplied             bool
	RequesterConfirmedMerge bool
	// C4
	ExactMatch       bool
	ReporterIsTarget bool
	TargetIsUser     bool
	ReporterInsists  bool
	Similarity       float64
	// C5
	ChallengerLevel int64
	IncumbentLevel  int64
	Employees       int64
	// C6
	SignalRatio      float64
	UniqueReports24h int64
	TrustDelta       float64
}

// field reads one value of a payload into the evidence.
type field struct {
	name string
	read func(*Evidence, json.RawMessage) error
}

func flag(name string, at func(*Evidence) *bool) field {
	return field{name, func(e *Evidence, text json.RawMessage) error { return strict(text, at(e)) }}
}

func whole(name string, lowest, highest int64, at func(*Evidence) *int64) field {
	return field{name, func(e *Evidence, text json.RawMessage) error {
		var value int64
		if err := strict(text, &value); err != nil {
			return err
		}
		if value < lowest || value > highest {
			return fmt.Errorf("%d is not from %d to %d", value, lowest, highest)
		}
		*at(e) = value
		return nil
	}}
}

func number(name string, lowest, highest float64, at func(*Evidence) *float64) field {
	return field{name, func(e *Evidence, text json.RawMessage) error {
		var value float64
		if err := strict(text, &value); err != nil {
			return err
		}
		if value < lowest || value > highest {
			return fmt.Errorf("%g is not from %g to %g", value, lowest, highest)
		}
		*at(e) = value
		return nil
	}}
}

func instant(name string, at func(*Evidence) *time.Time) field {
	return field{name, func(e *Evidence, text json.RawMessage) error {
		var value string
		if err := strict(text, &value); err != nil {
			return err
		}
		parsed, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("%q is no RFC 3339 time", value)
		}
		*at(e) = parsed.UTC()
		return nil
	}}
}

// strict refuses null, which encoding/json would pass over.
func strict(text json.RawMessage, into interface{}) error {
	if string(text) == "null" {
		return fmt.Errorf("it is null")
	}
	return json.Unmarshal(text, into)
}

// fieldsOf are those that a case of a type must have.
var fieldsOf = map[string][]field{
	"C1": {
		flag("incumbent_otp", func(e *Evidence) *bool { return &e.IncumbentOTP }),
		flag("challenger_otp", func(e *Evidence) *bool { return &e.ChallengerOTP }),
		whole("incumbent_device_days", 0, math.MaxInt32, func(e *Evidence) *int64 { return &e.IncumbentDeviceDays }),
		whole("challenger_device_days", 0, math.MaxInt32, func(e *Evidence) *int64 { return &e.ChallengerDeviceDays }),
	},
	"C2": {
		flag("otp", func(e *Evidence) *bool { return &e.OTP }),
		whole("old_owner_inactive_days", 0, math.MaxInt32, func(e *Evidence) *int64 { return &e.OldOwnerInactiveDays }),
		instant("claimed_at", func(e *Evidence) *time.Time { return &e.ClaimedAt }),
		flag("old_owner_disputed", func(e *Evidence) *bool { return &e.OldOwnerDisputed }),
	},
	"C3": {
		flag("auto_applied", func(e *Evidence) *bool { return &e.AutoApplied }),
		flag("requester_confirmed_merge", func(e *Evidence) *bool { return &e.RequesterConfirmedMerge }),
	},
	"C4": {
		flag("exact_match", func(e *Evidence) *bool { return &e.ExactMatch }),
		flag("reporter_is_target", func(e *Evidence) *bool { return &e.ReporterIsTarget }),
		flag("target_is_user", func(e *Evidence) *bool { return &e.TargetIsUser }),
		flag("reporter_insists", func(e *Evidence) *bool { return &e.ReporterInsists }),
		number("similarity", 0, 1, func(e *Evidence) *float64 { return &e.Similarity }),
	},
	"C5": {
		whole("challenger_level", 0, 3, func(e *Evidence) *int64 { return &e.ChallengerLevel }),
		whole("incumbent_level", 0, 3, func(e *Evidence) *int64 { return &e.IncumbentLevel }),
		whole("employees", 0, math.MaxInt32, func(e *Evidence) *int64 { return &e.Employees }),
	},
	"C6": {
		number("signal_ratio", 0, math.MaxFloat64, func(e *Evidence) *float64 { return &e.SignalRatio }),
		whole("unique_reports_24h", 0, math.MaxInt32, func(e *Evidence) *int64 { return &e.UniqueReports24h }),
		number("trust_delta", -math.MaxFloat64, math.MaxFloat64, func(e *Evidence) *float64 { return &e.TrustDelta }),
	},
}

// Take reads the fields that a text brings over what is known, and returns those fields alone.
//
//	complete  whether every field of the type has to be there
func (e *Evidence) Take(caseType string, text json.RawMessage, complete bool) (map[string]json.RawMessage, error) {
	var given map[string]json.RawMessage
	if err := strict(text, &given); err != nil {
		return nil, fmt.Errorf("evidence is no object: %w", err)
	}
	taken := map[string]json.RawMessage{}
	for _, f := range fieldsOf[caseType] {
		value, there := given[f.name]
		if !there {
			if complete {
				return nil, fmt.Errorf("evidence of %s: %s is missing", caseType, f.name)
			}
			continue
		}
		if err := f.read(e, value); err != nil {
			return nil, fmt.Errorf("evidence of %s: %s: %w", caseType, f.name, err)
		}
		taken[f.name] = value
	}
	return taken, nil
}
