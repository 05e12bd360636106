//! The budgets of one client, found by scope and parameters.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::budget::{Budget, BudgetKind, BudgetReading, BudgetSpec, Scope, Share, SharedPurses};
use crate::error::Error;
use crate::time::Tick;

/// The most origins and names one client keeps budgets for. Those beyond it share one budget, so that a flood of names creates no
/// retries out of fresh reserves.
const MOST: usize = 4096;

/// The most parameters that a name is remembered to have had.
const MOST_EARLIER: usize = 16;

/// The budgets of one client: one per origin, one for the whole client, and the named ones it holds; each per parameters.
///
/// Calls find theirs by scope and parameters, so that per-call policies with the same parameters share it. May be used
/// from any thread. Budgets that nobody used for their ttl are dropped, which loses nothing but their counters.
#[derive(Debug, Default)]
pub struct Budgets {
    own: Mutex<Own>,
    names: Arc<BudgetNames>,
    maker: Maker,
    /// Somebody was told that one of them is not the host's as it was to be.
    told: AtomicBool,
}

/// Makes budgets, the host's among them if it knows where those are.
#[derive(Debug, Default)]
struct Maker(Option<Box<dyn SharedPurses>>);

/// By what budgets differ besides their scopes.
type Parameters = (BudgetKind, Share);

fn unshared(why: &str) -> Error {
    Error::config(format!("share_required: the budget cannot be the host's: {why}"))
}

fn parameters(spec: &BudgetSpec) -> Parameters {
    (spec.kind, if spec.scope == Scope::Client { Share::Process } else { spec.share })
}

impl Maker {
    /// `text`: who shares it, if the host does.
    ///
    /// # Errors
    /// `config` where it is to be the host's, which is impossible.
    fn make(&self, (kind, share): Parameters, text: std::fmt::Arguments<'_>) -> Result<Arc<Budget>, Error> {
        Ok(Arc::new(match (share, &self.0) {
            (Share::Process, _) => Budget::new(kind),
            (Share::Host, None) => Budget::of_host(kind, Err("the clock here is not the host's".to_owned())),
            (Share::Host, Some(purses)) => match purses.purse(&text.to_string(), &kind) {
                Err(why) if purses.required() => return Err(unshared(&why)),
                purse => Budget::of_host(kind, purse),
            },
        }))
    }

    /// So that what cannot be had shows before the first call.
    fn check(&self, spec: &BudgetSpec) -> Result<(), Error> {
        match &self.0 {
            Some(purses) if parameters(spec).1 == Share::Host && purses.required() => purses.check().map_err(|why| unshared(&why)),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
struct Own {
    /// One per parameters. A client knows few of them, so that looking through is faster than hashing.
    groups: Vec<(Parameters, Group)>,
    named: HashMap<String, Named>,
    origins: usize,
    /// When to look for idle ones next: at this number of origins, names and groups, and not before this moment. Keeps its cost small per call.
    sweep_at: (usize, Tick),
}

#[derive(Debug, Default)]
struct Group {
    client: Option<Arc<Budget>>,
    /// Comparing a few names is cheaper than hashing one.
    origins: BTreeMap<Box<str>, Arc<Budget>>,
    beyond: Option<Arc<Budget>>,
}

#[derive(Debug)]
struct Named {
    budget: Arc<Budget>,
    /// The client's own policy names it: no other client may be made with other parameters for the name while this one lives.
    held: bool,
    /// Parameters that the name had before it was replaced, newest last: who still has such a policy, as calls in flight do, has the budget of now.
    earlier: Vec<Parameters>,
}

impl Named {
    fn new(budget: &Arc<Budget>, held: bool) -> Self {
        budget.keepers.fetch_add(1, Ordering::Relaxed);
        Named { budget: Arc::clone(budget), held, earlier: Vec::new() }
    }

    /// The same name, which another budget has now.
    fn replaced(&self, budget: &Arc<Budget>) -> Self {
        let mut next = Named::new(budget, self.held);
        next.earlier.clone_from(&self.earlier);
        next.earlier.retain(|earlier| *earlier != of(&self.budget));
        next.earlier.push(of(&self.budget));
        next.earlier.drain(..next.earlier.len().saturating_sub(MOST_EARLIER));
        next
    }

    fn is_for(&self, parameters: Parameters) -> bool {
        of(&self.budget) == parameters || self.earlier.contains(&parameters)
    }

    /// Whether no call has it and nothing is lost with it. Others keep it for themselves.
    fn idle(&self, now: Tick) -> bool {
        let calls = Arc::strong_count(&self.budget) > self.budget.keepers.load(Ordering::Relaxed);
        !self.held && !calls && self.budget.idle(now)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.budget.keepers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Budgets that several clients share by name. A name lives as long as one of its holders.
#[derive(Debug, Default)]
pub struct BudgetNames(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    known: HashMap<String, Weak<Budget>>,
    /// The number of names at which those that nobody holds are dropped. Keeps its cost small per name.
    sweep_at: usize,
}

impl BudgetNames {
    /// The budget of this name, made if nobody holds it.
    ///
    /// # Errors
    /// `config` when a holder lives that made it with other parameters; as [`Maker::make`].
    fn hold(&self, name: &str, parameters: Parameters, maker: &Maker) -> Result<Arc<Budget>, Error> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = names.known.get(name).and_then(Weak::upgrade).filter(|budget| !budget.is_lost()) {
            return same_parameters(name, parameters, &budget);
        }
        if names.known.len() >= names.sweep_at {
            names.known.retain(|_, budget| budget.strong_count() > 0);
            names.sweep_at = (names.known.len() * 2).max(64);
        }
        let budget = maker.make(parameters, format_args!("name {name}"))?;
        names.known.insert(name.to_owned(), Arc::downgrade(&budget));
        Ok(budget)
    }

    /// From now on the name is this budget's, unless its present one has the same parameters; that which it is.
    #[cfg(feature = "client")]
    fn replace(&self, name: &str, budget: Arc<Budget>) -> Arc<Budget> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.known.get(name).and_then(Weak::upgrade).filter(|known| !known.is_lost()) {
            if of(&known) == of(&budget) {
                return known;
            }
            known.replaced.store(true, Ordering::Release);
        }
        names.known.insert(name.to_owned(), Arc::downgrade(&budget));
        budget
    }

    fn known(&self, name: &str) -> Option<Arc<Budget>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.get(name).and_then(Weak::upgrade)
    }
}

fn of(budget: &Budget) -> Parameters {
    (budget.kind(), budget.share())
}

fn same_parameters(name: &str, parameters: Parameters, budget: &Arc<Budget>) -> Result<Arc<Budget>, Error> {
    if of(budget) == parameters { Ok(Arc::clone(budget)) } else { Err(in_use(name)) }
}

fn in_use(name: &str) -> Error {
    Error::config(format!(
        "budget.scope: the budget named \"{name}\" is in use with other parameters; give it the same ones or another name"
    ))
}

impl Budgets {
    /// No budgets yet, and names of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// No budgets yet; names are looked up in `names`.
    pub fn sharing(names: Arc<BudgetNames>) -> Self {
        Budgets { names, ..Budgets::default() }
    }

    /// As [`sharing`](Budgets::sharing); those that the host's processes share come from `purses`.
    #[cfg(feature = "client")]
    pub(crate) fn of_host(names: Arc<BudgetNames>, purses: Option<Box<dyn SharedPurses>>) -> Self {
        Budgets { names, maker: Maker(purses), ..Budgets::default() }
    }

    /// The budget of `spec` for calls to `origin` (`scheme://host:port`), made if this is its first use. Allocates only then.
    ///
    /// # Errors
    /// `config` when the name is in use with other parameters, and where it has to be the host's and cannot.
    pub fn find(&self, spec: &BudgetSpec, origin: &str, now: Tick) -> Result<Arc<Budget>, Error> {
        let mut own = self.lock();
        let parameters = parameters(spec);
        match &spec.scope {
            Scope::Name(name) => {
                own.follow(&self.names, name);
                if let Some(named) = own.named.get(name).filter(|named| !named.budget.is_lost()) {
                    return if named.is_for(parameters) { Ok(Arc::clone(&named.budget)) } else { Err(in_use(name)) };
                }
                own.sweep(now);
                if own.is_full() {
                    return own.beyond(&self.maker, parameters);
                }
                own.name(&self.names, &self.maker, name, parameters, false)
            }
            Scope::Client => {
                if own.group(parameters).is_none() {
                    own.sweep(now);
                }
                let group = own.group_or_new(parameters);
                Ok(Arc::clone(group.client.get_or_insert_with(|| Arc::new(Budget::new(spec.kind)))))
            }
            Scope::Origin => {
                let known = own.group(parameters).and_then(|group| group.origins.get(origin));
                match known.filter(|budget| !budget.is_lost()) {
                    Some(budget) => Ok(Arc::clone(budget)),
                    None => own.new_origin(&self.maker, parameters, origin, now),
                }
            }
        }
    }

    /// Holds the name of `spec`, if it has one, for as long as these budgets live, so that a clash shows before the first call, and so does a host's purse
    /// that has to be there and is not.
    ///
    /// # Errors
    /// As [`find`](Budgets::find).
    pub fn hold(&self, spec: &BudgetSpec) -> Result<(), Error> {
        match &spec.scope {
            Scope::Name(name) => self.lock().name(&self.names, &self.maker, name, parameters(spec), true).map(drop),
            Scope::Origin | Scope::Client => self.maker.check(spec),
        }
    }

    /// As [`hold`](Budgets::hold), for a client that has other policies from now on: a name that has other parameters now is given to a fresh budget, for
    /// all who share the names. Who still has a policy with the parameters of before has the fresh one, too.
    ///
    /// # Errors
    /// `config`, and nothing is changed: one has to be the host's and cannot.
    #[cfg(feature = "client")]
    pub(crate) fn replace<'a>(&self, specs: impl Iterator<Item = &'a BudgetSpec>) -> Result<(), Error> {
        let mut made = Vec::new();
        for spec in specs {
            match &spec.scope {
                Scope::Name(name) => made.push((name, self.maker.make(parameters(spec), format_args!("name {name}"))?)),
                Scope::Origin | Scope::Client => self.maker.check(spec)?,
            }
        }
        let mut own = self.lock();
        for (name, budget) in made {
            let budget = self.names.replace(name, budget);
            let mut next = match own.named.get(name) {
                Some(named) if !Arc::ptr_eq(&named.budget, &budget) => named.replaced(&budget),
                Some(_) => continue,
                None => Named::new(&budget, true),
            };
            next.held = true;
            own.named.insert(name.clone(), next);
        }
        Ok(())
    }

    /// Why this budget is the process's alone, if it was to be the host's and nobody was told yet that one of these is; from now on somebody was.
    pub(crate) fn untold<'a>(&self, budget: &'a Budget) -> Option<&'a str> {
        budget.why().filter(|_| !self.told.swap(true, Ordering::Relaxed))
    }

    /// What the budget of `spec` for `origin` has; `None` if no call used it yet. Makes nothing.
    pub fn reading(&self, spec: &BudgetSpec, origin: &str, now: Tick) -> Option<BudgetReading> {
        let own = self.lock();
        let group = own.group(parameters(spec));
        let budget = match &spec.scope {
            Scope::Name(name) => match own.named.get(name) {
                Some(named) => Some(&named.budget).filter(|_| named.is_for(parameters(spec))),
                None => group.and_then(|group| group.beyond.as_ref()),
            },
            Scope::Client => group.and_then(|group| group.client.as_ref()),
            Scope::Origin => group.and_then(|group| group.origins.get(origin).or(group.beyond.as_ref())),
        };
        budget.map(|budget| budget.reading(now))
    }

    fn lock(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    fn new_origin(&mut self, maker: &Maker, parameters: Parameters, origin: &str, now: Tick) -> Result<Arc<Budget>, Error> {
        self.sweep(now);
        if self.is_full() {
            return self.beyond(maker, parameters);
        }
        let budget = maker.make(parameters, format_args!("origin {origin}"))?;
        // One that was lost is replaced.
        let replaced = self.group_or_new(parameters).origins.insert(origin.into(), Arc::clone(&budget));
        self.origins += usize::from(replaced.is_none());
        Ok(budget)
    }

    /// The budget of this name, which other clients may have too.
    fn name(&mut self, names: &BudgetNames, maker: &Maker, name: &str, parameters: Parameters, held: bool) -> Result<Arc<Budget>, Error> {
        let budget = names.hold(name, parameters, maker)?;
        let held = held || self.named.get(name).is_some_and(|named| named.held);
        self.named.insert(name.to_owned(), Named::new(&budget, held));
        Ok(budget)
    }

    /// Takes the budget that has the name now, if another client gave the name to another one.
    fn follow(&mut self, names: &BudgetNames, name: &str) {
        let Some(named) = self.named.get(name).filter(|named| named.budget.replaced.load(Ordering::Acquire)) else { return };
        if let Some(budget) = names.known(name) {
            let next = named.replaced(&budget);
            self.named.insert(name.to_owned(), next);
        }
    }

    fn is_full(&self) -> bool {
        self.origins + self.named.len() >= MOST
    }

    fn beyond(&mut self, maker: &Maker, parameters: Parameters) -> Result<Arc<Budget>, Error> {
        let beyond = &mut self.group_or_new(parameters).beyond;
        if let Some(budget) = beyond.as_ref().filter(|budget| !budget.is_lost()) {
            return Ok(Arc::clone(budget));
        }
        Ok(Arc::clone(beyond.insert(maker.make(parameters, format_args!("beyond"))?)))
    }

    fn group(&self, parameters: Parameters) -> Option<&Group> {
        self.groups.iter().find(|(other, _)| *other == parameters).map(|(_, group)| group)
    }

    fn group_or_new(&mut self, parameters: Parameters) -> &mut Group {
        let index = self.groups.iter().position(|(other, _)| *other == parameters).unwrap_or_else(|| {
            self.groups.push((parameters, Group::default()));
            self.groups.len() - 1
        });
        &mut self.groups[index].1
    }

    /// Drops idle budgets once enough have come together.
    fn sweep(&mut self, now: Tick) {
        if self.kept() >= self.sweep_at.0.max(64) && now >= self.sweep_at.1 {
            self.drop_idle(now);
            self.sweep_at = ((self.kept() * 2).min(MOST), now.after(Duration::from_millis(100)));
        }
    }

    fn kept(&self) -> usize {
        self.origins + self.named.len() + self.groups.len()
    }

    fn drop_idle(&mut self, now: Tick) {
        let used = |budget: &Arc<Budget>| Arc::strong_count(budget) > 1 || !budget.idle(now);
        self.named.retain(|_, named| !named.idle(now));
        for (_, group) in &mut self.groups {
            group.origins.retain(|_, budget| used(budget));
            group.client = group.client.take().filter(used);
            group.beyond = group.beyond.take().filter(used);
        }
        self.groups.retain(|(_, group)| !group.origins.is_empty() || group.client.is_some() || group.beyond.is_some());
        self.origins = self.groups.iter().map(|(_, group)| group.origins.len()).sum();
    }
}
