package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// spareFiles are those that are open besides connections, here and in a server.
const spareFiles = 200

// allowFiles lets this process and what it starts hold so many connections. Only
// root may have more than the hard limit.
func allowFiles(connections int) error {
	need := uint64(connections + spareFiles)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= need {
		return err
	}
	raised := syscall.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return fmt.Errorf("%d clients need %d open files, and a process may have %d here; raise the hard limit (`ulimit -Hn`): %w", connections, need, limit.Max, err)
	}
	return nil
}

// files is how many a server has open, connections among them.
func (s *server) files() (int, error) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	names, err := dir.Readdirnames(-1)
	return len(names), errors.Join(err, dir.Close())
}
