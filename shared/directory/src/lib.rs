//! Tenants, domains, accounts, aliases, groups and credentials in the control port.
