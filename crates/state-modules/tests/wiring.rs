//! Modules put together: visibility, order, errors, ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use state_modules::{BoxError, Module, Provided, ResolveError, Root, Scope, Token, WiringError};

const SOON: Duration = Duration::from_secs(5);

fn number(module: &str, token: &Token<u32>, value: u32) -> Module {
    Module::new(module)
        .exports(token)
        .provides(token, move |_| async move { Ok(Provided::new(value)) })
}

#[tokio::test]
async fn what_is_provided_is_built_once_whoever_asks() {
    let (token, built) = (Token::<u32>::new("n"), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&built);
    let module = Module::new("m").exports(&token).provides(&token, move |_| {
        let counter = Arc::clone(&counter);
        async move {
            tokio::task::yield_now().await;
            Ok(Provided::new(counter.fetch_add(1, Ordering::SeqCst)))
        }
    });
    let root = Root::builder().module(module).build().unwrap();
    let askers: Vec<_> = (0..16)
        .map(|_| {
            let (root, token) = (root.clone(), token.clone());
            tokio::spawn(async move { *root.get(&token).await.unwrap() })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), 0);
    }
    assert_eq!(built.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_could_not_be_built_is_tried_again() {
    let (token, tries) = (Token::<u32>::new("n"), Arc::new(AtomicU32::new(0)));
    let module = Module::new("m").exports(&token).provides(&token, move |_| {
        let tries = tries.fetch_add(1, Ordering::SeqCst);
        async move {
            if tries == 0 {
                return Err(BoxError::from("not yet"));
            }
            Ok(Provided::new(tries))
        }
    });
    let root = Root::builder().module(module).build().unwrap();
    let error = root.get(&token).await.unwrap_err();
    assert_eq!(error.code(), "resolve.build");
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(*root.get(&token).await.unwrap(), 1);
}

#[tokio::test]
async fn only_what_is_exported_and_imported_is_visible() {
    let (hidden, shown, user) = (
        Token::<u32>::new("hidden"),
        Token::<u32>::new("shown"),
        Token::<u32>::new("user"),
    );
    let base = || {
        let own = hidden.clone();
        Module::new("base")
            .exports(&shown)
            .provides(&hidden, |_| async { Ok(Provided::new(1)) })
            .provides(&shown, move |scope: Scope| {
                let own = own.clone();
                async move { Ok(Provided::new(*scope.get(&own).await? + 1)) }
            })
    };
    let using = |wanted: &Token<u32>| {
        let wanted = wanted.clone();
        Module::new("user")
            .exports(&user)
            .provides(&user, move |scope: Scope| {
                let wanted = wanted.clone();
                async move { Ok(Provided::new(*scope.get(&wanted).await?)) }
            })
    };
    let root = |user: Module| Root::builder().module(base()).module(user).build().unwrap();

    let fine = root(using(&shown).imports("base"));
    assert_eq!(*fine.get(&user).await.unwrap(), 2);
    let error = fine.get(&hidden).await.unwrap_err();
    assert_eq!(error.code(), "resolve.not_visible");
    for (wanted, module) in [
        (&hidden, using(&hidden).imports("base")),
        (&shown, using(&shown)),
    ] {
        let error = root(module).get(&user).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains(wanted.name()), "{source}");
    }
}

#[tokio::test]
async fn tokens_are_checked_for_their_type() {
    let root = Root::builder()
        .module(number("m", &Token::new("n"), 1))
        .build()
        .unwrap();
    let error = root.get(&Token::<String>::new("n")).await.unwrap_err();
    assert!(matches!(error, ResolveError::WrongType { .. }), "{error}");
    let error = root.get(&Token::<u32>::new("unseen")).await.unwrap_err();
    assert!(matches!(error, ResolveError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn building_in_a_circle_is_an_error() {
    let (a, b) = (Token::<u32>::new("a"), Token::<u32>::new("b"));
    let needs = |token: &Token<u32>| {
        let token = token.clone();
        move |scope: Scope| {
            let token = token.clone();
            async move { Ok(Provided::new(*scope.get(&token).await?)) }
        }
    };
    let module = Module::new("m")
        .exports(&a)
        .exports(&b)
        .provides(&a, needs(&b))
        .provides(&b, needs(&a));
    let root = Root::builder().module(module).build().unwrap();
    let (first, second) = tokio::join!(root.get(&a), root.get(&b));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text += &error.to_string();
            source = error.source();
        }
        assert!(text.contains("a -> b") || text.contains("b -> a"), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_found_before_anything_is_built() {
    let token = Token::<u32>::new("n");
    let code = |modules: Vec<Module>| {
        let builder = modules
            .into_iter()
            .fold(Root::builder(), |all, module| all.module(module));
        builder
            .build()
            .map(drop)
            .map_err(|error: WiringError| error.code())
    };
    let m = |name: &str| Module::new(name);
    assert_eq!(code(vec![m("a"), m("a")]), Err("wiring.duplicate_module"));
    let twice = vec![number("a", &token, 1), number("b", &token, 2)];
    assert_eq!(code(twice), Err("wiring.duplicate_token"));
    assert_eq!(
        code(vec![m("a").imports("b")]),
        Err("wiring.unknown_import")
    );
    assert_eq!(
        code(vec![m("a").exports(&token)]),
        Err("wiring.unknown_export")
    );
    let circle = vec![
        m("a").imports("b"),
        m("b").imports("c"),
        m("c").imports("a"),
    ];
    assert_eq!(code(circle), Err("wiring.import_cycle"));
    assert_eq!(code(vec![m("a").imports("a")]), Err("wiring.import_cycle"));
}

/// Three things, each built on the one before, that write down when they end.
fn chain(ended: &Arc<Mutex<Vec<u32>>>, broken: Option<u32>) -> (Root, Vec<Token<u32>>) {
    let tokens: Vec<_> = (0..3)
        .map(|n| Token::<u32>::new(&format!("t{n}")))
        .collect();
    let mut builder = Root::builder();
    for (index, token) in (0_u32..).zip(&tokens) {
        let before = index
            .checked_sub(1)
            .map(|before: u32| tokens[before as usize].clone());
        let (ended, before_name) = (Arc::clone(ended), before.clone());
        let mut module = Module::new(format!("m{index}")).exports(token);
        if before.is_some() {
            module = module.imports(format!("m{}", index - 1));
        }
        builder = builder.module(module.provides(token, move |scope: Scope| {
            let (ended, before) = (Arc::clone(&ended), before_name.clone());
            async move {
                if let Some(before) = before {
                    scope.get(&before).await?;
                }
                if broken == Some(index) {
                    return Err(BoxError::from("it does not start"));
                }
                Ok(Provided::closed_by(index, move || async move {
                    tokio::task::yield_now().await;
                    ended.lock().push(index);
                    if index == 1 {
                        return Err(BoxError::from("it does not stop"));
                    }
                    Ok(())
                }))
            }
        }));
    }
    (builder.build().unwrap(), tokens)
}

#[tokio::test]
async fn n_cl_4_the_end_is_in_the_opposite_order_and_whole() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (root, tokens) = chain(&ended, None);
    root.get(&tokens[2]).await.unwrap();
    let errors = root.close(SOON).await.unwrap_err();
    assert_eq!(*ended.lock(), [2, 1, 0]);
    let failed: Vec<_> = errors.errors().iter().map(|error| error.token()).collect();
    assert_eq!(failed, ["t1"]);
    // Once is enough.
    root.close(SOON).await.unwrap();
    assert_eq!(*ended.lock(), [2, 1, 0]);
    let error = root.get(&tokens[0]).await.unwrap_err();
    assert_eq!(error.code(), "resolve.closed");
}

#[tokio::test]
async fn n_cl_3_what_a_failed_start_had_built_is_closed() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (root, tokens) = chain(&ended, Some(2));
    root.get(&tokens[2]).await.unwrap_err();
    root.close(SOON).await.unwrap_err();
    assert_eq!(*ended.lock(), [1, 0]);
}

#[tokio::test]
async fn n_cl_2_a_broken_off_end_is_gone_on_with() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let (root, tokens) = chain(&ended, None);
    root.get(&tokens[2]).await.unwrap();
    // Polled until the first step has begun, again and again.
    for _ in 0..3 {
        let close = std::pin::pin!(root.close(SOON));
        tokio::select! {
            biased;
            _ = close => {}
            () = std::future::ready(()) => {}
        }
    }
    let _ = root.close(SOON).await;
    assert_eq!(*ended.lock(), [2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_does_not_stop_the_others() {
    let (token, ended) = (Token::<u32>::new("n"), Arc::new(Mutex::new(Vec::new())));
    let hanging = Token::<u32>::new("hanging");
    let told = Arc::clone(&ended);
    let module = Module::new("m")
        .exports(&token)
        .exports(&hanging)
        .provides(&token, move |_| {
            let told = Arc::clone(&told);
            async move {
                Ok(Provided::closed_by(1, move || async move {
                    told.lock().push(1);
                    Ok(())
                }))
            }
        })
        .provides(&hanging, |_| async {
            Ok(Provided::closed_by(
                2,
                std::future::pending::<Result<(), BoxError>>,
            ))
        });
    let root = Root::builder().module(module).build().unwrap();
    root.get(&token).await.unwrap();
    root.get(&hanging).await.unwrap();
    let errors = root.close(SOON).await.unwrap_err();
    assert_eq!(errors.errors()[0].token(), "hanging");
    assert_eq!(*ended.lock(), [1]);
}
