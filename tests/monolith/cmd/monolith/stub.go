package main

import "context"

func serve(ctx context.Context, a []string) error { return nil }
