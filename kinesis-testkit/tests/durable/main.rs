//! A fake whose state is kept in a directory.

#[cfg(test)]
mod directory;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod restart;
