//go:build tools

// Package compose pins the version of Docker Compose that the tests bring the stack up with: Debian has only 1.29.
package compose

import _ "github.com/docker/compose/v2/cmd"
