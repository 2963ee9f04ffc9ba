package auth

import (
	"context"
	"errors"
	"fmt"
)

// Delete forgets an account, its sessions, and its messages or its name on them.
// It fails with ErrNotFound.
func (a *Accounts) Delete(ctx context.Context, id string) error {
	return a.end(a.store.DeleteAccount(ctx, a.opts.RemoveMessages, a.ending(id)))
}

// ChangePassword gives an account another password where current is its old one,
// and ends its sessions but for the one named keep. It fails with an *InputError,
// ErrBadCredentials, ErrNotFound or ErrBusy.
func (a *Accounts) ChangePassword(ctx context.Context, id, current, password, keep string) error {
	account, err := a.store.AccountByID(ctx, id)
	if err != nil {
		return err
	}
	if err := a.opts.Passwords.Check(account.Username, password); err != nil { // before a hash is spent on it
		return inField(err, "new_password")
	}
	ok, _, err := a.hasher.Verify(ctx, current, account.PasswordHash)
	if err != nil {
		return inField(err, "current_password")
	}
	if !ok {
		return ErrBadCredentials
	}
	err = a.replacePassword(ctx, account, account.PasswordHash, password, keep)
	if errors.Is(err, ErrNotFound) {
		return ErrBadCredentials // the account has changed meanwhile: current is of before
	}
	return inField(err, "new_password")
}

// SetPassword is ChangePassword for the operator, who need not know the old one.
func (a *Accounts) SetPassword(ctx context.Context, id, password string) error {
	account, err := a.store.AccountByID(ctx, id)
	if err != nil {
		return err
	}
	return a.replacePassword(ctx, account, "", password, "")
}

// replacePassword fails with ErrNotFound where old is given and no longer the
// account's hash.
func (a *Accounts) replacePassword(ctx context.Context, account Account, old, password, keep string) error {
	if err := a.opts.Passwords.Check(account.Username, password); err != nil {
		return err
	}
	hash, err := a.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	e := a.ending(account.ID)
	e.Except = keep
	return a.end(a.store.ChangePassword(ctx, old, hash, e))
}

// inField names the field that an *InputError of a password is about.
func inField(err error, field string) error {
	var input *InputError
	if errors.As(err, &input) {
		return &InputError{Field: field, Reason: input.Reason}
	}
	return err
}

// ChangeRole gives an account another role and ends its sessions, whose tokens
// name the old one. It fails with an *InputError or ErrNotFound.
func (a *Accounts) ChangeRole(ctx context.Context, id, role string) error {
	if err := checkRole(role); err != nil {
		return err
	}
	return a.end(a.store.ChangeRole(ctx, role, a.ending(id)))
}

// Disable ends an account's sessions and lets nobody log in to it until Enable.
// Both fail with ErrNotFound.
func (a *Accounts) Disable(ctx context.Context, id string) error {
	return a.end(a.store.Disable(ctx, a.ending(id)))
}

// Enable undoes Disable.
func (a *Accounts) Enable(ctx context.Context, id string) error { return a.store.Enable(ctx, id) }

func checkRole(role string) error {
	if !IsRole(role) {
		return &InputError{Field: "role", Reason: fmt.Sprintf("must be %s, %s or %s", RoleUser, RoleService, RoleAdmin)}
	}
	return nil
}
