//! `griptrace verify`: the same arguments and output as `griptrace-verify`.

use std::io;

pub(crate) use griptrace_verify::Args;

use crate::{
    clock,
    context::{Answer, Context},
};

pub(crate) fn run(context: &Context, mut args: Args) -> Answer {
    args.json |= context.output.is_json();
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    Answer(griptrace_verify::check(&args, clock::today(), &mut out, &mut err))
}
