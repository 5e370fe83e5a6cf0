//! Who may log in. Pure: the file around it is somebody else's.

use super::role::{Right, Role};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most logins of one register.
pub const LOGINS: usize = 64;
/// Longest name, in characters.
pub const NAME_CHARS: usize = 32;

/// One login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// As it was given; unique without regard to case.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Argon2id, in PHC form.
    pub hash: String,
    /// Another one with every password: what was given for an older one is worth nothing.
    pub version: Uuid,
    /// When it was made, in microseconds since 1970 UTC.
    pub made_us: i64,
}

/// Why the book stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The name cannot be one.
    #[error("`{0}` cannot be a name: take 1 to {NAME_CHARS} letters, digits, spaces or . _ - @")]
    Name(String),
    /// Somebody has it.
    #[error("there is a login `{0}` already")]
    Taken(String),
    /// Nobody has it.
    #[error("there is no login `{0}`")]
    Unknown(String),
    /// Nobody could make logins any more.
    #[error("`{0}` is the last manager; make another one first")]
    LastManager(String),
    /// The book is full.
    #[error("there are {LOGINS} logins; remove one first")]
    Full,
}

/// All logins, by the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    logins: Vec<Login>,
}

/// The same for names that differ in case or in blanks around them.
#[must_use]
pub fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

fn check_name(name: &str) -> Result<&str, BookError> {
    let name = name.trim();
    let plain = |c: char| c.is_alphanumeric() || " ._-@".contains(c);
    let fits = (1..=NAME_CHARS).contains(&name.chars().count()) && name.chars().all(plain);
    if fits {
        Ok(name)
    } else {
        Err(BookError::Name(name.chars().take(NAME_CHARS).collect()))
    }
}

impl Book {
    /// Nobody has been made yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn logins(&self) -> &[Login] {
        &self.logins
    }

    /// The login of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Login> {
        let folded = folded(name);
        self.logins
            .iter()
            .find(|login| self::folded(&login.name) == folded)
    }

    fn find_mut(&mut self, name: &str) -> Result<&mut Login, BookError> {
        let wanted = folded(name);
        self.logins
            .iter_mut()
            .find(|login| folded(&login.name) == wanted)
            .ok_or_else(|| BookError::Unknown(name.trim().to_owned()))
    }

    /// Whether this could be added, before its password is hashed.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn check_new(&self, name: &str) -> Result<(), BookError> {
        let name = check_name(name)?;
        if self.find(name).is_some() {
            return Err(BookError::Taken(name.to_owned()));
        }
        if self.logins.len() >= LOGINS {
            return Err(BookError::Full);
        }
        Ok(())
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn add(
        &mut self,
        name: &str,
        role: Role,
        hash: String,
        now_us: i64,
    ) -> Result<(), BookError> {
        self.check_new(name)?;
        self.logins.push(Login {
            name: name.trim().to_owned(),
            role,
            hash,
            version: Uuid::new_v4(),
            made_us: now_us,
        });
        Ok(())
    }

    /// Gives one another password: sessions and tokens of the old one end.
    ///
    /// # Errors
    /// [`BookError::Unknown`].
    pub fn set_password(&mut self, name: &str, hash: String) -> Result<(), BookError> {
        let login = self.find_mut(name)?;
        login.hash = hash;
        login.version = Uuid::new_v4();
        Ok(())
    }

    /// Gives one another role, from its next request on.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), BookError> {
        if !role.may(Right::Logins) {
            self.check_not_last(name)?;
        }
        self.find_mut(name)?.role = role;
        Ok(())
    }

    /// Removes one.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn remove(&mut self, name: &str) -> Result<(), BookError> {
        self.check_not_last(name)?;
        let wanted = folded(name);
        self.logins.retain(|login| folded(&login.name) != wanted);
        Ok(())
    }

    fn check_not_last(&self, name: &str) -> Result<(), BookError> {
        let login = self
            .find(name)
            .ok_or_else(|| BookError::Unknown(name.trim().to_owned()))?;
        let managers = self.logins.iter().filter(|l| l.role.may(Right::Logins));
        if login.role.may(Right::Logins) && managers.count() == 1 {
            return Err(BookError::LastManager(login.name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(people: &[(&str, Role)]) -> Book {
        let mut book = Book::default();
        for (name, role) in people {
            book.add(name, *role, "hash".into(), 5).unwrap();
        }
        book
    }

    #[test]
    fn a_name_is_one_person_however_it_is_written() {
        let mut book = book(&[("Jürgen", Role::Manager)]);
        assert_eq!(book.find(" JÜRGEN ").unwrap().name, "Jürgen");
        let again = book.add("jürgen", Role::Technician, "h".into(), 6);
        assert_eq!(again, Err(BookError::Taken("jürgen".into())));
        for wrong in ["", "  ", "a\nb", "<b>", "a/b", &"x".repeat(33)] {
            let added = book.add(wrong, Role::Technician, "h".into(), 6);
            assert!(matches!(added, Err(BookError::Name(_))), "{wrong:?}");
        }
    }

    #[test]
    fn the_last_manager_stays_a_manager() {
        let mut book = book(&[("ann", Role::Manager), ("tim", Role::Technician)]);
        let last = Err(BookError::LastManager("ann".into()));
        assert_eq!(book.remove("Ann"), last);
        assert_eq!(book.set_role("ann", Role::LossPrevention), last);
        book.remove("tim").unwrap();
        assert_eq!(book.remove("tim"), Err(BookError::Unknown("tim".into())));
        book.add("eve", Role::Manager, "h".into(), 7).unwrap();
        book.set_role("ann", Role::Technician).unwrap();
        book.remove("ann").unwrap();
        assert_eq!(book.logins().len(), 1);
    }

    #[test]
    fn another_password_is_another_version_and_another_role_is_not() {
        let mut book = book(&[("ann", Role::Manager), ("eve", Role::Manager)]);
        let version = |book: &Book| book.find("ann").unwrap().version;
        let first = version(&book);
        book.set_role("ann", Role::Technician).unwrap();
        assert_eq!(version(&book), first);
        book.set_password("ann", "other".into()).unwrap();
        assert_ne!(version(&book), first);
    }

    #[test]
    fn a_book_has_an_end() {
        let mut book = Book::default();
        for n in 0..LOGINS {
            book.add(&format!("n{n}"), Role::Manager, "h".into(), 1)
                .unwrap();
        }
        assert_eq!(
            book.add("one-more", Role::Manager, "h".into(), 1),
            Err(BookError::Full)
        );
    }

    #[test]
    fn the_file_form_is_pinned() {
        let text = r#"{"logins":[{"name":"ann","role":"loss-prevention","hash":"$argon2id$x","version":"00000000-0000-0000-0000-000000000007","made_us":5}]}"#;
        let book: Book = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&book).unwrap(), text);
    }
}
