package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// size is a number of bytes.
type size int64

func (s size) kb() float64 { return float64(s) / (1 << 10) }
func (s size) mb() float64 { return float64(s) / (1 << 20) }

// memory is what a process has resident.
type memory struct {
	resident size
	peak     size // since the process began
}

// memory is the server's.
func (s *server) memory() (memory, error) {
	path := fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)
	status, err := os.ReadFile(path)
	if err != nil {
		return memory{}, err
	}
	m := memory{resident: kilobytes(status, "VmRSS:"), peak: kilobytes(status, "VmHWM:")}
	if m.resident == 0 {
		return m, fmt.Errorf("%s does not tell what is resident", path)
	}
	return m, nil
}

// kilobytes reads a line of proc_pid_status(5).
func kilobytes(status []byte, name string) size {
	_, after, _ := bytes.Cut(status, []byte("\n"+name))
	line, _, _ := bytes.Cut(after, []byte("kB"))
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return size(n << 10)
}

// socketMemory is what TCP takes in the kernel, for all sockets of the machine.
func socketMemory() (size, error) {
	const path = "/proc/net/sockstat"
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	_, tcp, _ := bytes.Cut(stat, []byte("TCP:"))
	line, _, _ := bytes.Cut(tcp, []byte("\n"))
	_, pages, ok := bytes.Cut(line, []byte(" mem "))
	n, err := strconv.Atoi(string(pages))
	if !ok || err != nil {
		return 0, fmt.Errorf("%s reads %q", path, stat)
	}
	return size(n * os.Getpagesize()), nil
}
