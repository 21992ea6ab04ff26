"""How the console drives Textual: every use of a private name of Textual is in this package.

Tested with Textual 8.2.8, the least version in pyproject.toml. These private names are relied on:

terminal.py
    `textual.drivers._writer_thread.WriterThread`: the thread that writes to the terminal; its `_file`.
    `LinuxDriver._writer_thread`: where the driver keeps that thread.
    `LinuxDriver._run_input_thread`, `_app`, `_loop`: where an error of the input thread ends.
frame.py
    `textual._compositor`: `Compositor.render_strips`, and `LayoutUpdate.strips`, `ChopsUpdate.chops`,
    `ChopsUpdate.spans`: what was painted.
app.py
    `App._display`: called with each update of the screen; `_driver`, `_running`, `_closed`, `_batch_count`,
    `_sync_available`, `Screen._compositor`: attributes that the original method reads.
    `App._handle_exception`: called with an error that nothing caught; `_return_code`, `_close_messages_no_wait`:
    how the original method ends the app.
key_order.py
    `App.on_event`: gives a key or a pasted text that is not forwarded yet to the widget that has the focus, or to the
    screen, at once.
style_sheet.py
    `Stylesheet._variables`: the variables that the texts are parsed with. `set_variables` and `reparse` are replaced;
    `parse` must keep the texts that it has parsed until `set_variables` is called.
palette.py
    `CommandPalette._action_command_list`: moves the cursor in the list of the palette.

Before a newer version of Textual is allowed, compare these with its source, and run tests/console/test_terminal.py.
"""
