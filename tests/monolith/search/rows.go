package search

import "context"

func (p projection) readContacts(ctx context.Context, contacts []int64, wanted map[string]*Document) error {
	if len(contacts) == 0 {
		return nil
	}
	rows, err := p.tx.Query(ctx, `
		SELECT c.contact_id, c.owner_id, c.display_name, c.phone, c.email, c.company_name, c.job_title,
			  c.state, coalesce(c.contested, false),
		       ARRAY(SELECT k.name FROM app.circle_members m JOIN app.circles k ON k.circle_id = m.circle_id
			  WHERE m.contact_id = c.contact_id)
		FROM app.contacts c WHERE c.contact_id = ANY ($1)`, contacts)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Contact
		var circles []string
		if err := rows.Scan(&c.ID, &c.OwnerID, &c.DisplayName, &c.Phone, &c.Email, &c.CompanyName, &c.JobTitle,
			&c.State, &c.Contested,
			&circles); err != nil {
			return err
		}
		wanted[ContactID(c.ID)] = ContactDocument(c, circles)
	}
	return rows.Err()
}

func (p projection) readProfiles(ctx context.Context, profiles []int64, wanted map[string]*Document) error {
	if len(profiles) == 0 {
		return nil
	}
	found, owners, err := p.profileRows(ctx, profiles)
	if err != nil {
		return err
	}
	channels, err := p.channels(ctx, owners)
	if err != nil {
		return err
	}
	for _, profile := range found {
		wanted[ProfileID(profile.ID)] = ProfileDocument(profile, channels[profile.OwnerID])
	}
	return nil
}

func (p projection) profileRows(ctx context.Context, profiles []int64) (found []Profile, owners []int64,
	err error) {
	rows, err := p.tx.Query(ctx, `
		SELECT p.profile_id, p.owner_principal_id, p.profile_class, p.display_name, p.company_name,
			  p.job_title, p.discoverable,
		       o.status, o.username
		FROM app.profiles p JOIN app.principals o ON o.principal_id = p.owner_principal_id
			  WHERE p.profile_id = ANY ($1)`, profiles)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one Profile
		if err := rows.Scan(&one.ID, &one.OwnerID, &one.Class, &one.DisplayName, &one.CompanyName,
			&one.JobTitle, &one.Discoverable,
			&one.OwnerStatus, &one.OwnerUsername); err != nil {
			return nil, nil, err
		}
		found = append(found, one)
		owners = append(owners, one.OwnerID)
	}
	return found, owners, rows.Err()
}

func (p projection) channels(ctx context.Context, principals []int64) (map[int64][]Channel, error) {
	rows, err := p.tx.Query(ctx,
		"SELECT principal_id, channel_id, kind, value, state, verified_at FROM app.channels WHERE principal_id = ANY ($1)", principals)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byPrincipal := map[int64][]Channel{}
	for rows.Next() {
		var principal int64
		var c Channel
		if err := rows.Scan(&principal, &c.ID, &c.Kind, &c.Value, &c.State, &c.VerifiedAt); err != nil {
			return nil, err
		}
		byPrincipal[principal] = append(byPrincipal[principal], c)
	}
	return byPrincipal, rows.Err()
}
